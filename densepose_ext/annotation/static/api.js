// Requests to the server. Each page is a session, which holds its own leases.

export const session = crypto.getRandomValues(new Uint32Array(4)).join("-");
let name = "";

export function setName(value) { name = value.trim(); }
export function getName() { return name; }

export class Refused extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      ...options,
      headers: { "X-Session": session, "X-Annotator": encodeURIComponent(name) },
    });
  } catch {
    throw new Refused("The server does not answer. Nothing that was saved is lost.", 0);
  }
  const text = await answer.text();
  let content = null;
  try { content = JSON.parse(text); } catch { /* the error is plain text */ }
  if (!answer.ok) throw new Refused(content?.error || text || answer.statusText, answer.status);
  return content;
}

export const get = (path) => request(`/api/${path}`);
export const act = (action, values = {}, keepalive = false) =>
  request(`/api/${action}`, { method: "POST", body: JSON.stringify(values), keepalive });
