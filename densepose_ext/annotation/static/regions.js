// Stage 1: the 14 regions of a person's body, as they lie under the clothes.

import { get } from "./api.js";
import { button, make, rgb, say } from "./dom.js";
import { SIDE, decode, encode, fill, polygon, stroke, toImage } from "./paint.js";

// Rows of the panel. The person's right is on the left, as when the person faces you.
const ROWS = [["right upper arm", "q", "left upper arm", "w"], ["right lower arm", "a", "left lower arm", "s"],
  ["right hand", "z", "left hand", "x"], ["right upper leg", "e", "left upper leg", "r"],
  ["right lower leg", "d", "left lower leg", "f"], ["right foot", "c", "left foot", "v"]];
const TOOLS = { brush: "b", polygon: "p", fill: "g", eraser: "o" };
const UNDO_KEPT = 60;

export class Regions {
  constructor(app) {
    this.app = app;
    this.isOfPerson = true; // its keys are for the open person
    this.tool = "brush";
    this.region = 14;
    this.radius = 14; // screen pixels
    this.turn = 0;
    this.keeps = false;
    this.buffer = make("canvas", { width: SIDE, height: SIDE });
    const pick = (name) => () => this.choose(this.app.project.regions.indexOf(name));
    this.keys = [
      ["Ctrl+Enter n", "finish the regions, and place points", () => { this.finish(); }],
      ["h", "head", pick("head")], ["t", "torso", pick("torso")],
      ...ROWS.flatMap(([right, k1, left, k2]) => [[k1, right, pick(right)], [k2, left, pick(left)]]),
      ...Object.entries(TOOLS).map(([tool, key]) => [key, tool, () => this.setTool(tool)]),
      ["[", "smaller brush", () => this.resize(0.8)], ["]", "larger brush", () => this.resize(1.25)],
      ["k", "protect drawn regions: paint only where there is none", () => { this.keeps = !this.keeps; this.show(); }],
      ["y", "rotate the figure", () => this.turnBy(1)],
      ["m", "propose regions with the model", () => { this.propose(); }],
      ["u Ctrl+z", "undo", () => this.undo()],
      ["l", "swap left and right", () => this.mirror()],
      [".", "hide or show the regions", () => { this.isHidden = !this.isHidden; this.app.viewport.draw(); }],
      ["Escape", "cancel the polygon", () => { this.corners = []; this.app.viewport.draw(); }],
      ["Enter", "close the polygon", () => this.corners.length > 2 && !this.app.viewport.cursor ? this.closePolygon() : false],
      ["i", "no dense pose for this person", () => { this.leaveOut(); }],
    ];
  }

  async enter({ person }) {
    const { app } = this;
    this.corners = [];
    this.history = [];
    this.isHidden = this.isUnsaved = false;
    this.pointer = this.last = null;
    const found = await app.openPerson("regions", person);
    if (!found) { this.nobody(); return; }
    if (found.stage !== "regions") { app.follow(found); return; }
    this.map = decode(found.runs);
    this.redraw();
    app.viewport.tool = this;
    app.viewport.overlay = (context, viewport) => this.paint(context, viewport);
    this.turn = 0;
    this.isTurned = false;
    this.show();
    await this.turnAsInPicture();
  }

  async leave() { await this.save(); }

  turnBy(steps) { this.isTurned = true; this.turn = (this.turn + steps) % 8; this.show(); }

  // Rotates the figure as the person stands, estimated from the regions or the model.
  async turnAsInPicture() {
    const { person } = this.app;
    if (!person) return;
    const { best } = await get(`people/${person.id}/views/1`);
    const turn = [0, 2, 4, 6][best]; // views of the torso from the front, its left, the back, its right
    if (this.isTurned || this.app.stage !== this || this.app.person !== person || turn === undefined || turn === this.turn) return;
    this.turn = turn;
    this.show();
  }

  nobody() {
    this.map = null;
    this.app.panel.replaceChildren(make("h2", {}, "No regions to draw"),
      this.app.whyNobody("Draw boxes first, or continue with the points."),
      make("div", { class: "row" }, button("Boxes", "F2", () => this.app.go("boxes")), button("Points", "F4", () => this.app.go("points"), { class: "primary" })));
  }

  get isClick() { return this.tool === "polygon" || this.tool === "fill"; }

  choose(region) { this.region = region; if (this.tool === "eraser") this.tool = "brush"; this.show(); }
  setTool(tool) { this.tool = tool; this.corners = []; this.show(); }
  resize(factor) { this.radius = Math.min(Math.max(this.radius * factor, 2), 120); this.app.viewport.draw(); }

  show() {
    if (!this.map) return;
    const { project, person, panel } = this.app;
    const drawn = new Set(this.map);
    const pick = (name, key) => {
      const region = project.regions.indexOf(name);
      return button(name.replace(/^(right|left) /, ""), key, () => this.choose(region), {
        "aria-pressed": this.region === region && this.tool !== "eraser", "data-region": region,
        style: `border-left: 6px solid ${rgb(project.colours[region])}`,
        title: `the person's ${name}${drawn.has(region) ? ", drawn" : ""}`,
      });
    };
    const isFront = [7, 0, 1].includes(this.turn);
    const isBack = [3, 4, 5].includes(this.turn);
    const [near, far] = isFront ? ["person's right", "person's left"] : isBack ? ["person's left", "person's right"] : ["", ""];
    panel.replaceChildren(...[
      make("div", { class: "row" }, make("h2", { class: "grow" }, `Regions of person ${person.id}`),
        button("Place points", "n", () => this.finish(), { class: "primary", id: "finish-regions" })),
      person.note ? make("p", { class: "note" }, `Sent back: ${person.note}`) : null,
      make("p", {}, "Draw the body under the clothes: a skirt covers legs. Left and right are the person's own."),
      make("div", { class: "figure" },
        make("button", { title: "rotate", onclick: () => this.turnBy(7) }, "↺"),
        make("span", { class: "side" }, near), make("img", { src: `/figure/${this.turn}`, alt: "figure in the colours of the regions" }),
        make("span", { class: "side" }, far),
        button("↻", "y", () => this.turnBy(1))),
      make("div", { class: "row" }, ...Object.entries(TOOLS).map(([tool, key]) =>
        button(tool, key, () => this.setTool(tool), { "aria-pressed": this.tool === tool, id: `tool-${tool}` }))),
      make("div", { class: "row" }, button("−", "[", () => this.resize(0.8)), button("+", "]", () => this.resize(1.25)),
        button("protect", "k", () => { this.keeps = !this.keeps; this.show(); }, { "aria-pressed": this.keeps }),
        button("undo", "u", () => this.undo(), { disabled: !this.history.length })),
      make("div", { class: "regions" }, pick("head", "h"), pick("torso", "t"),
        make("span", { class: "head" }, "person's right"), make("span", { class: "head" }, "person's left"),
        ...ROWS.flatMap(([right, k1, left, k2]) => [pick(right, k1), pick(left, k2)])),
      make("div", { class: "row" },
        project.hasModel ? button("propose", "m", () => this.propose(), { id: "propose" }) : null,
        button("left ⇄ right", "l", () => this.mirror()), button("leave out", "i", () => this.leaveOut())),
    ].filter(Boolean));
    const what = this.tool === "eraser" ? "eraser" : `${this.tool}: ${this.app.project.regions[this.region]}`;
    this.app.hint(what);
    this.app.viewport.draw();
  }

  // From pixels of the picture to those of the map.
  toMap([x, y]) {
    const [left, top, w, h] = this.app.person.box;
    return [((x - left) * SIDE) / w, ((y - top) * SIDE) / h];
  }

  radii() {
    const [, , w, h] = this.app.person.box;
    const size = this.radius / this.app.viewport.scale;
    return [(size * SIDE) / w, (size * SIDE) / h];
  }

  remember() {
    this.history.push(this.map.slice());
    if (this.history.length > UNDO_KEPT) this.history.shift();
  }

  down(point) {
    const at = this.toMap(point);
    this.before = { corners: [...this.corners], steps: this.history.length };
    if (this.tool === "polygon") { this.addCorner(point); return; }
    this.remember();
    if (this.tool === "fill") {
      if (fill(this.map, at, this.region)) this.changed();
      else { this.history.pop(); say("This area is not enclosed: close the outline first."); }
      return;
    }
    this.last = at;
    this.stroke(at);
  }

  move(point) {
    this.pointer = point;
    if (this.last) this.stroke(this.toMap(point));
  }

  up() {
    if (!this.last) return;
    this.last = null;
    this.changed();
  }

  // Takes back what the first of two fingers did.
  cancel() {
    this.last = null;
    if (this.history.length > this.before.steps) this.undo();
    this.corners = this.before.corners;
    this.app.viewport.draw();
  }
  hover(point) { this.pointer = point; this.app.viewport.canvas.style.cursor = "crosshair"; this.app.viewport.draw(); }
  double() { if (this.tool === "polygon" && this.corners.length > 2) this.closePolygon(); }

  stroke(at) {
    const region = this.tool === "eraser" ? 0 : this.region;
    stroke(this.map, this.last, at, this.radii(), region, this.keeps);
    this.last = at;
    this.redraw();
  }

  addCorner(point) {
    const { viewport } = this.app;
    if (this.corners.length > 2) {
      const [a, b] = [viewport.toCanvas(this.corners[0]), viewport.toCanvas(point)];
      if (Math.hypot(a[0] - b[0], a[1] - b[1]) < 9) { this.closePolygon(); return; }
    }
    this.corners.push(point);
    viewport.draw();
  }

  closePolygon() {
    this.remember();
    polygon(this.map, this.corners.map((corner) => this.toMap(corner)), this.region, this.keeps);
    this.corners = [];
    this.changed();
    return true;
  }

  undo() {
    if (!this.history.length) return;
    this.map = this.history.pop();
    this.changed();
  }

  mirror() {
    this.remember();
    this.map = this.map.map((region) => this.app.project.mirror[region]);
    this.changed();
  }

  // Redraws, and saves after a moment.
  changed() {
    this.redraw();
    this.show();
    this.isUnsaved = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), 500);
  }

  async save() {
    clearTimeout(this.timer);
    if (this.last) this.isUnsaved = true; // a stroke, so far
    if (!this.isUnsaved || !this.app.person) return;
    this.isUnsaved = false;
    if (await this.app.change("paint", { runs: encode(this.map) }) && this.app.person) await this.turnAsInPicture();
  }

  async propose() {
    const { app } = this;
    const { person } = app;
    if (!app.project.hasModel || !person) return;
    app.hint("The model is running ...");
    try {
      const { runs, found } = await get(`people/${person.id}/proposal`);
      if (app.person !== person || app.stage !== this) return;
      if (!found) say("The model did not find this person.");
      else { this.remember(); this.map = decode(runs); this.changed(); }
    } catch (error) { app.report(error); }
    if (app.person === person && app.stage === this) this.show();
  }

  async leaveOut() {
    const { person } = this.app;
    if (this.map.some(Boolean) && !this.app.isSure(`Leave person ${person.id} out, without dense pose?`)) return;
    if (await this.app.end("leave_out")) await this.app.go("regions");
  }

  async finish() {
    const { person } = this.app;
    const answer = await this.app.end("finish_regions");
    if (answer) await this.app.go("points", { person: person.id });
  }

  redraw() {
    const context = this.buffer.getContext("2d");
    context.clearRect(0, 0, SIDE, SIDE);
    toImage(this.map, this.app.project.colours, context);
    this.app.viewport.draw();
  }

  paint(context, viewport) {
    const { person } = this.app;
    if (!person || !this.map) return;
    const [x, y, w, h] = person.box;
    const [left, top] = viewport.toCanvas([x, y]);
    if (!this.isHidden) {
      context.globalAlpha = 0.5;
      context.imageSmoothingEnabled = false;
      context.drawImage(this.buffer, left, top, w * viewport.scale, h * viewport.scale);
      context.globalAlpha = 1;
    }
    context.strokeStyle = "#fff8";
    context.lineWidth = 1;
    context.strokeRect(left, top, w * viewport.scale, h * viewport.scale);
    if (this.corners.length) {
      context.beginPath();
      for (const corner of [...this.corners, ...(this.pointer ? [this.pointer] : [])]) context.lineTo(...viewport.toCanvas(corner));
      context.lineWidth = 4; context.strokeStyle = "#000a"; context.stroke();
      context.lineWidth = 2; context.strokeStyle = rgb(this.app.project.colours[this.region]); context.stroke();
    }
    if (this.pointer && (this.tool === "brush" || this.tool === "eraser")) {
      const [px, py] = viewport.toCanvas(this.pointer);
      context.beginPath();
      context.arc(px, py, this.radius, 0, 7);
      context.lineWidth = 3; context.strokeStyle = "#0009"; context.stroke();
      context.lineWidth = 1.5; context.strokeStyle = this.tool === "eraser" ? "#fff" : rgb(this.app.project.colours[this.region]);
      context.stroke();
    }
  }
}
