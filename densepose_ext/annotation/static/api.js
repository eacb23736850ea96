// Requests to the server. Each page is a session, which holds its own leases.

import { say } from "./dom.js";

export const session = crypto.getRandomValues(new Uint32Array(4)).join("-");
let name = "";

export function setName(value) { name = value.trim(); }
export function getName() { return name; }

export class Refused extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

async function answered(path, options) {
  const answer = await fetch(path, options).catch(() => {
    throw new Refused("The server does not answer. Nothing that was saved is lost.", 0);
  });
  if (answer.ok) return answer;
  const text = await answer.text();
  let content = null;
  try { content = JSON.parse(text); } catch { /* the error is plain text */ }
  throw new Refused(content?.error || text || answer.statusText, answer.status);
}

async function request(path, options = {}) {
  const headers = { "X-Session": session, "X-Annotator": encodeURIComponent(name) };
  return (await answered(path, { ...options, headers })).json();
}

export const getPicture = async (path) => createImageBitmap(await (await answered(path)).blob());

export const get = (path) => request(`/api/${path}`);
// Browsers send up to 64 KiB even if the page is left at once.
const KEPT = 60000;

export function act(action, values = {}) {
  const body = JSON.stringify(values);
  return request(`/api/${action}`, { method: "POST", body, keepalive: body.length < KEPT });
}

// Asks until the server answers, for what must not be lost.
export async function insist(ask) {
  for (let tries = 0; ; tries += 1) {
    try { return await ask(); } catch (error) {
      if (error.status !== 0) throw error;
      if (tries % 8 === 0) say("The server does not answer. This page tries again until it does: leave it open.", true);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}
export const insistOn = (action, values) => insist(() => act(action, values));
