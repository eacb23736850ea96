// Stage 2: each point is placed by a click on one of six views of its region.

import { get } from "./api.js";
import { button, counted, make, rgb, say } from "./dom.js";
import { ViewGrid } from "./views.js";

const PAUSE = 350; // milliseconds for which the marks of a region's last point stay visible

export class Points {
  constructor(app) {
    this.app = app;
    this.isOfPerson = true; // its keys are for the open person
    const way = (dx, dy) => (event) => this.grid?.move(dx * (event.shiftKey ? 2 : 10), dy * (event.shiftKey ? 2 : 10)) ?? false;
    this.keys = [
      ...[1, 2, 3, 4, 5, 6].map((k) => [String(k), `select view ${k}`, () => this.grid?.choose(k - 1)]),
      ["ArrowLeft Shift+ArrowLeft", "move the crosshair to the left; Shift for small steps", way(-1, 0)],
      ["ArrowRight Shift+ArrowRight", "to the right", way(1, 0)], ["ArrowUp Shift+ArrowUp", "up", way(0, -1)], ["ArrowDown Shift+ArrowDown", "down", way(0, 1)],
      ["Enter", "place the point at the crosshair", () => this.grid?.placeAtCursor() ?? false],
      ["Space", "cannot tell", () => { this.cannotTell(); }],
      ["s", "skip for now", () => { this.step(1); }],
      ["PageDown", "next point", () => { this.step(1); }], ["PageUp", "previous point", () => { this.step(-1); }],
      ["u Backspace Ctrl+z", "undo the last point", () => { this.undo(); }],
      ["n Ctrl+Enter", "finish the points", () => { this.finish(); }],
      ["j", "advance automatically after a click", () => { this.goesOn = !this.goesOn; this.show(); }],
    ];
    this.goesOn = true;
  }

  async enter({ person }) {
    const { app } = this;
    this.grid = null;
    this.placed = [];
    this.point = null;
    const found = await app.openPerson("points", person);
    if (!found) { this.nobody(); return; }
    if (found.stage !== "points") { app.follow(found); return; }
    this.answers = found.answers;
    this.grid = new ViewGrid(app.project.viewSide, (view, x, y) => this.place(view, x, y));
    app.viewport.tool = this;
    app.viewport.overlay = (context, viewport) => this.paint(context, viewport);
    const first = found.points.findIndex((_, n) => !(n in this.answers));
    await this.open(first < 0 ? 0 : first);
  }

  leave() { this.grid = null; }

  nobody() {
    this.app.panel.replaceChildren(make("h2", {}, "No points to place"),
      this.app.whyNobody("People appear here once their regions are drawn."),
      make("div", { class: "row" }, button("Regions", "F3", () => this.app.go("regions")), button("Review", "F5", () => this.app.go("review"), { class: "primary" })));
  }

  get points() { return this.app.person.points; }
  get left() { return this.points.filter((_, n) => !(n in this.answers)).length; }

  // Shows a point, and the views of its region.
  async open(number) {
    const { app } = this;
    const [x, y, region] = this.points[number];
    this.wanted = number;
    const isOther = this.grid.region !== region;
    const turn = isOther ? await get(`people/${app.person.id}/views/${region}`) : null;
    // Point and views change together, since a click until then belongs to the previous point.
    if (!this.grid || this.wanted !== number) return;
    this.point = number;
    if (isOther) {
      this.grid.show(region, turn);
      this.showRegion(region);
    }
    const [cx, cy] = app.viewport.toCanvas([x, y]);
    if (cx < 20 || cy < 20 || cx > app.viewport.width - 20 || cy > app.viewport.height - 20) this.showRegion(region);
    this.show();
    await this.markOpen();
  }

  async markOpen() {
    const number = this.point;
    if (this.answers[number]?.part) {
      const { layers } = await get(`people/${this.app.person.id}/marks/${number}`);
      if (this.grid && this.point === number) this.grid.mark(layers);
    } else if (this.lastMarks?.region === this.grid.region) this.grid.mark([this.lastMarks.marks], ["before"]);
    else this.grid.mark([]);
  }

  // Brings the points of a region into view, with a margin.
  showRegion(region) {
    const own = this.points.filter((point) => point[2] === region);
    const [xs, ys] = [own.map((p) => p[0]), own.map((p) => p[1])];
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const [w, h] = [Math.max(...xs) - left, Math.max(...ys) - top];
    const [, , bw, bh] = this.app.person.box;
    const pad = 0.18 * Math.max(bw, bh) + 0.25 * Math.max(w, h);
    this.app.viewport.show([left - pad, top - pad, w + 2 * pad, h + 2 * pad]);
  }

  show() {
    const { project, person, panel } = this.app;
    if (!this.grid || this.point === null) return;
    const region = this.points[this.point][2];
    const own = this.points.filter((point) => point[2] === region);
    const at = this.points.slice(0, this.point).filter((point) => point[2] === region).length;
    const answered = this.points.length - this.left;
    panel.replaceChildren(...[
      make("h2", {}, make("i", { class: "swatch", style: `background:${rgb(project.colours[region])}` }),
        `${project.regions[region]}: point ${at + 1} of ${own.length}`),
      person.note ? make("p", { class: "note" }, `Sent back: ${person.note}`) : null,
      make("p", {}, "On any view, click where the marked point lies on the body. The first view is oriented as in the picture."),
      this.grid.element,
      make("div", { class: "row" }, button("Cannot tell", "Space", () => this.cannotTell(), { id: "cannot-tell" }),
        button("Skip", "s", () => this.step(1)), button("Undo", "u", () => this.undo(), { id: "undo", disabled: !this.placed.length }),
        button("Auto-advance", "j", () => { this.goesOn = !this.goesOn; this.show(); }, { "aria-pressed": this.goesOn })),
      make("div", { class: "bar" }, make("i", { class: "stage-accepted", style: `width:${(100 * answered) / this.points.length}%` })),
      make("p", { id: "points-left" }, `${answered} of ${this.points.length} points of person ${person.id}`),
      make("div", { class: "row" }, button(this.left ? `Finish with ${this.left} unanswered` : "Finish", "n", () => this.finish(),
        { class: this.left ? "" : "primary", id: "finish-points" })),
    ].filter(Boolean));
    this.app.viewport.draw();
  }

  async place(view, x, y) {
    const number = this.point;
    if (number === null) return;
    const before = this.answers[number];
    this.answers[number] = { part: -1, view }; // shows the dot at once
    this.app.viewport.draw();
    const answer = await this.app.change("place", { point: number, view, x, y });
    if (!answer) { // usually a click outside the region
      if (before) this.answers[number] = before; else delete this.answers[number];
      this.app.viewport.draw();
      return;
    }
    this.answered(number, { part: 1, view });
    this.lastMarks = { region: answer.marks.region, marks: answer.marks.layers[0] };
    if (this.point === number) this.grid?.mark([this.lastMarks.marks]);
    if (this.goesOn) await this.goOn(number);
    else this.show();
  }

  answered(number, answer) {
    this.answers[number] = answer;
    this.placed = [...this.placed.filter((other) => other !== number), number];
  }

  async cannotTell() {
    const number = this.point;
    if (number === null || !this.grid || number === this.untold) return;
    this.untold = number; // a second press of the key is not for it again
    const answer = await this.app.change("cannot_tell", { point: number });
    this.untold = null;
    if (!answer) return;
    this.answered(number, { part: 0 });
    await this.goOn(number);
  }

  // Opens the next point without an answer.
  async goOn(number) {
    const count = this.points.length;
    for (let k = 1; k <= count; k++) {
      const next = (number + k) % count;
      if (next in this.answers) continue;
      if (this.points[next][2] !== this.points[number][2]) await new Promise((resolve) => setTimeout(resolve, PAUSE));
      if (this.grid && this.point === number) await this.open(next);
      return;
    }
    say("All points are placed.");
    this.show();
  }

  async step(by) {
    if (this.point === null || !this.grid) return;
    const count = this.points.length;
    await this.open((this.point + by + count) % count);
  }

  async undo() {
    const number = this.placed.pop();
    if (number === undefined) return;
    if (!await this.app.change("clear", { point: number })) return;
    delete this.answers[number];
    this.lastMarks = null;
    await this.open(number);
  }

  async finish() {
    if (!this.grid) return;
    if (this.left && !this.app.isSure(`${counted(this.left, "point")} without an answer. Finish anyway?`)) return;
    if (!await this.app.end("finish_points")) return;
    say(`Person ${this.app.person.id} is finished.`);
    const { person } = this.app;
    const answer = await this.app.go(person.stage === "review" ? "review" : "points", person.stage === "review" ? { person: person.id } : {});
    return answer;
  }

  // A click on the picture opens the nearest point.
  down([x, y]) {
    const near = 10 / this.app.viewport.scale;
    let [best, found] = [near, -1];
    this.points.forEach(([px, py], n) => {
      const distance = Math.hypot(px - x, py - y);
      if (distance < best) [best, found] = [distance, n];
    });
    if (found >= 0) this.open(found).catch((error) => this.app.report(error));
  }

  hover() { this.app.viewport.canvas.style.cursor = "default"; }

  paint(context, viewport) {
    if (!this.app.person || !this.grid || this.point === null) return;
    const { colours } = this.app.project;
    this.points.forEach(([x, y, region], n) => {
      const [cx, cy] = viewport.toCanvas([x, y]);
      const answer = this.answers[n];
      context.beginPath();
      context.arc(cx, cy, answer ? 4.5 : 3, 0, 7);
      context.fillStyle = !answer ? "#fff9" : answer.part ? rgb(colours[region]) : "#888";
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = answer ? "#fff" : "#0008";
      context.stroke();
    });
    const [x, y] = viewport.toCanvas(this.points[this.point]);
    for (const [colour, width] of [["#000", 5], ["#ffe600", 2.5]]) {
      [context.strokeStyle, context.lineWidth] = [colour, width];
      context.beginPath();
      context.arc(x, y, 12, 0, 7);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + dx * 12, y + dy * 12);
        context.lineTo(x + dx * 22, y + dy * 22);
      }
      context.stroke();
    }
  }
}
