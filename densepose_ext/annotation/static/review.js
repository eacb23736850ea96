// Review: a finished person, with suspicious points and differences between annotators.

import { get } from "./api.js";
import { ask, button, make, rgb, say } from "./dom.js";
import { SIDE, decode, toImage } from "./paint.js";
import { ViewGrid } from "./views.js";

const REASONS = { neighbours: "differs from its neighbours", model: "differs from the model" };

export class Review {
  constructor(app) {
    this.app = app;
    this.isOfPerson = true; // its keys are for the open person
    this.buffer = make("canvas", { width: SIDE, height: SIDE });
    this.keys = [
      ["a n", "accept", () => { this.accept(); }],
      ["b", "send back to the points", () => { this.sendBack("points"); }],
      ["g", "send back to the regions", () => { this.sendBack("regions"); }],
      ["ArrowDown", "next point in the list", () => { this.step(1); }], ["ArrowUp", "previous point", () => { this.step(-1); }],
      ["1", "take the first annotator's answer", () => { this.take(0); }], ["2", "take the second's", () => { this.take(1); }],
      [".", "hide or show the regions", () => { this.isHidden = !this.isHidden; app.viewport.draw(); }],
    ];
  }

  async enter({ person }) {
    const { app } = this;
    this.point = this.wanted = null;
    this.grid = null;
    this.isChecked = false; // until then, nobody is accepted
    const found = await app.openPerson("review", person);
    if (!found) { this.nobody(); return; }
    if (!found.layers) { app.follow(found); return; }
    const context = this.buffer.getContext("2d");
    context.clearRect(0, 0, SIDE, SIDE);
    toImage(decode(found.runs), app.project.colours, context);
    app.viewport.tool = this;
    app.viewport.overlay = (drawing, viewport) => this.paint(drawing, viewport);
    this.result = { suspicions: [], apart: {} };
    this.list = [];
    this.verdict = "Looking for points that may be wrong ...";
    this.show();
    await this.check(found);
  }

  async check(person) {
    const { app } = this;
    const result = await get(`people/${person.id}/review`).catch((error) => app.report(error));
    if (app.person !== person) return;
    if (result) {
      this.result = result;
      this.makeList();
      const { size } = this.suspects;
      this.verdict = size ? `${size} may be wrong.` : "None looks wrong.";
    } else this.verdict = "They could not be checked.";
    this.isChecked = true;
    this.show();
  }

  get suspects() { return new Set(this.result.suspicions.map(({ point }) => point)); }

  nobody() {
    this.list = [];
    this.app.panel.replaceChildren(make("h2", {}, "Nobody to review"), this.app.whyNobody("People appear here once their points are placed."),
      make("div", { class: "row" }, button("Pictures", "F1", () => this.app.go("pictures"), { class: "primary" })));
  }

  // Suspicious points first, then the others by the distance between annotators.
  makeList() {
    const seen = new Map();
    for (const { point, distance, reason } of this.result.suspicions) {
      const text = `${REASONS[reason]}: ${(100 * distance).toFixed(0)} cm`;
      seen.set(point, seen.has(point) ? `${seen.get(point)}; ${text}` : text);
    }
    const apart = Object.entries(this.result.apart).sort((a, b) => b[1] - a[1]);
    for (const [point, distance] of apart) {
      const text = `annotators ${(100 * distance).toFixed(1)} cm apart`;
      const n = Number(point);
      seen.set(n, seen.has(n) ? `${seen.get(n)}; ${text}` : text);
    }
    this.list = [...seen];
  }

  show() {
    const { person, project, panel } = this.app;
    const { suspects } = this;
    const rows = this.list.map(([point, text]) => make("li", {}, make("button",
      { "aria-pressed": point === this.point, onclick: () => this.open(point), class: suspects.has(point) ? "bad" : "" },
      `${project.regions[person.points[point][2]]}, point ${point + 1}`, make("span", { class: "faint" }, text))));
    const answered = person.points.filter((_, n) => person.layers.some((layer) => layer[n]?.part)).length;
    panel.replaceChildren(...[
      make("h2", {}, `Person ${person.id}${person.stage === "accepted" ? " (accepted)" : ""}`),
      make("p", {}, `${answered} of ${person.points.length} points placed by ${person.annotators.join(" and ")}. `
        + this.verdict),
      make("div", { class: "row" },
        button("Accept", "a", () => this.accept(), { class: "primary", id: "accept", disabled: !this.canAccept }),
        button("Redo points", "b", () => this.sendBack("points")), button("Redo regions", "g", () => this.sendBack("regions"))),
      this.grid?.element ?? null,
      this.grid && person.layers.length > 1 ? make("div", { class: "row" }, ...person.layers.slice(0, 2).map((layer, n) =>
        button(`${person.annotators[n]}'s`, String(n + 1), () => this.take(n), { "aria-pressed": this.taken() === n, disabled: !layer[this.point] }))) : null,
      make("ul", { class: "list" }, ...rows),
    ].filter(Boolean));
    this.app.viewport.draw();
  }

  taken() { return this.app.person.taken[this.point] ?? 0; }

  async open(point) {
    const { app } = this;
    const { person } = app;
    const region = person.points[point][2];
    this.wanted = point;
    const [turn, marks] = await Promise.all([get(`people/${person.id}/views/${region}`), get(`people/${person.id}/marks/${point}`)]);
    if (app.person !== person || app.stage !== this || this.wanted !== point) return;
    this.point = point;
    this.grid = new ViewGrid(app.project.viewSide, () => {});
    this.grid.show(region, turn);
    this.grid.mark(marks.layers.slice(0, 2));
    this.show();
  }

  step(by) {
    if (!this.list?.length) return;
    const at = this.list.findIndex(([point]) => point === this.wanted);
    this.open(this.list[(Math.max(at, by > 0 ? -1 : 0) + by + this.list.length) % this.list.length][0]);
  }

  async take(layer) {
    const { person } = this.app;
    if (this.point === null || layer >= person.layers.length || !person.layers[layer][this.point]) return;
    if (await this.app.change("take", { point: this.point, layer })) { person.taken[this.point] = layer; this.show(); }
  }

  get canAccept() { return this.isChecked && this.app.person?.stage === "review"; }

  async accept() {
    if (!this.canAccept) return;
    if (!await this.app.end("accept")) return;
    say(`Person ${this.app.person.id} is accepted.`);
    await this.app.go("review");
  }

  async sendBack(stage) {
    if (!this.app.person) return;
    const note = await ask("What has to be redone?", "Send back");
    if (note === null) return;
    if (await this.app.end("send_back", { stage, note })) await this.app.go("review");
  }

  down([x, y]) {
    const { person, viewport } = this.app;
    const near = 10 / viewport.scale;
    const found = person.points.findIndex(([px, py]) => Math.hypot(px - x, py - y) < near);
    if (found >= 0) this.open(found).catch((error) => this.app.report(error));
  }

  hover() { this.app.viewport.canvas.style.cursor = "default"; }

  paint(context, viewport) {
    const { person, project } = this.app;
    if (!person?.layers) return;
    const [x, y, w, h] = person.box;
    const [left, top] = viewport.toCanvas([x, y]);
    if (!this.isHidden) {
      context.globalAlpha = 0.4;
      context.imageSmoothingEnabled = false;
      context.drawImage(this.buffer, left, top, w * viewport.scale, h * viewport.scale);
      context.globalAlpha = 1;
    }
    const { suspects } = this;
    person.points.forEach(([px, py, region], n) => {
      const [cx, cy] = viewport.toCanvas([px, py]);
      const isPlaced = person.layers.some((layer) => layer[n]?.part);
      context.beginPath();
      context.arc(cx, cy, isPlaced ? 4.5 : 3, 0, 7);
      context.fillStyle = isPlaced ? rgb(project.colours[region]) : "#888";
      context.fill();
      [context.lineWidth, context.strokeStyle] = [1.5, "#fff"];
      context.stroke();
      if (!suspects.has(n) && n !== this.point) return;
      context.beginPath();
      context.arc(cx, cy, n === this.point ? 12 : 9, 0, 7);
      [context.lineWidth, context.strokeStyle] = [3, n === this.point ? "#ffe600" : "#ff2b2b"];
      context.stroke();
    });
  }
}
