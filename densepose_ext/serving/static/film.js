// A video ("film" in the API): the server draws it, then the page plays it. Until then the page shows
// the frame of the original that has been reached.

import { beginFilm, getJson, Refused, removeFilm } from "/static/api.js";

const byId = (id) => document.getElementById(id);
const PAUSE = 400; // milliseconds between progress requests
const PATIENCE = 20; // number of progress requests in a row that may fail

export const isFilm = (file) => file.type.startsWith("video/") || /\.(mp4|m4v|mov|mkv|webm|avi)$/i.test(file.name);

export class Film {
  constructor(file) { Object.assign(this, { file, begun: null, isOver: false, isLeft: false }); }

  // Has the video drawn with options of the API. Returns once it plays, or is cancelled.
  async draw(options) {
    const [progress, video] = [byId("film-progress"), byId("film-video")];
    const bar = progress.querySelector("progress");
    video.autoplay = video.hidden = progress.hidden = false;
    video.src = this.original = URL.createObjectURL(this.file);
    bar.removeAttribute("value");
    byId("film-count").textContent = "";
    byId("status").textContent = "Sending the video…";
    this.begun = beginFilm(this.file, options);
    try {
      let [answer, silent] = [await this.begun, 0];
      if (!this.isLeft) byId("status").textContent = "Looking for people…";
      while (answer.status === "running" && !this.isLeft) {
        const { id, frames, of } = answer;
        if (of) {
          bar.value = frames / of;
          if (video.duration) video.currentTime = bar.value * video.duration;
        }
        byId("film-count").textContent = of ? `Frame ${frames} of ${of}` : `Frame ${frames}`;
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        try {
          if (!this.isLeft) answer = await getJson(`/video/${id}`);
          silent = 0;
        } catch (error) { // the server goes on drawing, even if it cannot be reached for a moment
          if (error.status || ++silent > PATIENCE) throw error;
        }
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
    video.autoplay = true;
    video.src = link.href = film;
    link.download = `${this.file.name.replace(/\.[^.]*$/, "")}-densepose.mp4`;
  }

  // Also removes it from the screen.
  leave() {
    byId("film-video").hidden = byId("film-download").hidden = true;
    byId("film-video").removeAttribute("src");
    URL.revokeObjectURL(this.original);
    return this.stop();
  }

  // Cancels the drawing, or removes the result from the server. The last frame stays on the screen.
  async stop() {
    this.isLeft = true;
    byId("film-progress").hidden = true;
    try {
      const { id } = await this.begun;
      await removeFilm(`/video/${id}`);
    } catch { /* it was never started, or is already removed */ }
  }
}
