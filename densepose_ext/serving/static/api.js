// Requests to the server.

export class Refused extends Error {}

const isReadable = (file) => !file || file.slice(0, 1).arrayBuffer().then(() => true, () => false);

const PATIENCE = 5; // number of retries when the server is busy

async function answered(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(await isReadable(options?.body) ? "The server does not answer."
      : "The file cannot be read: it is a folder, or has changed since it was chosen. Choose it again.");
  }
  if (answer.ok) return answer;
  let reason = answer.statusText;
  try { reason = (await answer.json()).error; } catch { /* no JSON: not from this server */ }
  const refused = new Refused(reason);
  refused.status = answer.status;
  refused.wait = Number(answer.headers.get("retry-after")) || 1;
  throw refused;
}

export const getJson = async (path) => (await answered(path)).json();
export const getBytes = async (path) => (await answered(path)).arrayBuffer();

// Starts drawing a video.
export async function beginFilm(file, options) {
  const path = `/video?${new URLSearchParams(options)}`;
  const headers = { "Content-Type": "application/octet-stream" };
  return (await answered(path, { method: "POST", body: file, headers })).json();
}

// Removes a video; `keepalive` sends the request even if the page is being closed.
export const removeFilm = (address) => answered(address, { method: "DELETE", keepalive: true });

// Requests the people of a picture; `signal` is that of an AbortController.
export async function predict(file, options, signal) {
  const path = `/predict?${new URLSearchParams(options)}`;
  for (let left = PATIENCE; ; left -= 1) {
    try {
      return await answered(path, {
        method: "POST", body: file, signal, headers: { "Content-Type": "application/octet-stream" },
      });
    } catch (error) {
      if (error.status !== 503 || !left) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.wait * 1000));
    }
  }
}
