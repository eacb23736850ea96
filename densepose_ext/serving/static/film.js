// A video ("film" in the API): the server draws it, then the page plays it.

import { beginFilm, getJson, Refused, removeFilm } from "/static/api.js";

const byId = (id) => document.getElementById(id);
const PAUSE = 400; // milliseconds between progress requests

export const isFilm = (file) => file.type.startsWith("video/") || /\.(mp4|m4v|mov|mkv|webm|avi)$/i.test(file.name);

export class Film {
  constructor(file) { Object.assign(this, { file, begun: null, isOver: false, isLeft: false }); }

  // Has the video drawn with options of the API. Returns once it plays, or is cancelled.
  async draw(options) {
    const progress = byId("film-progress");
    const bar = progress.querySelector("progress");
    byId("film-video").hidden = true;
    progress.hidden = false;
    bar.removeAttribute("value");
    byId("film-count").textContent = "";
    byId("status").textContent = "Sending the video…";
    this.begun = beginFilm(this.file, options);
    try {
      let answer = await this.begun;
      if (!this.isLeft) byId("status").textContent = "Looking for people…";
      while (answer.status === "running" && !this.isLeft) {
        const { id, frames, of } = answer;
        if (of) bar.value = frames / of;
        byId("film-count").textContent = of ? `Frame ${frames} of ${of}` : `Frame ${frames}`;
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        if (!this.isLeft) answer = await getJson(`/video/${id}`);
      }
      if (this.isLeft) return;
      this.isOver = true;
      if (answer.error) throw new Refused(answer.error);
      this.show(answer);
    } finally {
      if (!this.isLeft) progress.hidden = true;
    }
  }

  show({ film, frames, note }) {
    const count = `${frames} ${frames === 1 ? "frame" : "frames"}`;
    byId("status").textContent = note ? `${count}; ${note}` : count;
    const [video, link] = [byId("film-video"), byId("film-download")];
    video.hidden = link.hidden = false;
    video.src = link.href = film;
    link.download = `${this.file.name.replace(/\.[^.]*$/, "")}-densepose.mp4`;
  }

  // Cancels or removes the video.
  async leave() {
    this.isLeft = true;
    byId("film-progress").hidden = byId("film-video").hidden = true;
    byId("film-download").hidden = true;
    byId("film-video").removeAttribute("src");
    try {
      const { id } = await this.begun;
      await removeFilm(`/video/${id}`);
    } catch { /* it was never started, or is already removed */ }
  }
}
