// Stage 0: a box around every person of a picture.

import { act, get, insistOn } from "./api.js";
import { button, make, say } from "./dom.js";
import { STAGE_NAMES } from "./overview.js";

const GRIP = 9; // distance in screen pixels at which the pointer grabs an edge

export class Boxes {
  constructor(app) {
    this.app = app;
    this.keys = [
      ["n", "all boxes are drawn: next picture", () => { this.finish(); }],
      ["m", "propose boxes with the model", () => { this.propose(); }],
      ["a", "accept the proposed boxes", () => { this.acceptAll(); }],
      ["j", "select the next box", () => this.chooseNext()],
      ["Delete Backspace", "remove the selected box", () => { this.remove(); }],
      ["x", "no dense pose for the selected person", () => { this.leaveOut(); }],
      ["Enter", "draw regions for the selected person", () => this.begin()],
      ["PageUp", "previous picture", () => { this.step(-1); }],
      ["PageDown", "next picture", () => { this.step(1); }],
      ["Escape", "clear the selection", () => { this.choose(null); }],
    ];
  }

  async enter({ picture }) {
    const { app } = this;
    app.picture = app.pictureOf(picture ?? app.picture?.id) ?? app.project.pictures.find((p) => !p.boxesDone) ?? app.project.pictures[0];
    this.proposed = [];
    this.chosen = null;
    app.viewport.open(app.picture);
    app.viewport.fit();
    app.viewport.tool = this;
    app.viewport.overlay = (context, viewport) => this.paint(context, viewport);
    this.show();
  }

  leave() { this.draft = null; }

  get people() { return this.app.picture.people; }

  show() {
    const { app } = this;
    const list = make("ul", { class: "list" });
    for (const person of this.people) {
      const row = make("button", { "aria-pressed": this.chosen === person.id, onclick: () => this.choose(person.id) },
        `Person ${person.id}`, make("span", { class: "faint" }, person.holder ? `held by ${person.holder}` : STAGE_NAMES[person.stage]));
      list.append(make("li", {}, row));
    }
    const person = this.people.find((one) => one.id === this.chosen);
    app.panel.replaceChildren(...[
      make("h2", {}, app.picture.name),
      make("p", {}, "Draw a tight box around each person. Drag its edges to correct it."),
      app.project.hasModel ? make("div", { class: "row" }, button("Propose", "m", () => this.propose(), { id: "propose" }),
        button(`Accept ${this.proposed.length || ""}`, "a", () => this.acceptAll(), { disabled: !this.proposed.length })) : null,
      list,
      make("div", { class: "row" },
        button("Draw regions", "Enter", () => this.begin(), { disabled: !person || person.stage !== "regions" }),
        button("Remove", "Del", () => this.remove(), { disabled: !person }),
        button("Leave out", "x", () => this.leaveOut(), { disabled: !person || person.stage === "left out" })),
      make("div", { class: "row" },
        button("◀", "PgUp", () => this.step(-1)), button("▶", "PgDn", () => this.step(1)),
        button(app.picture.boxesDone ? "✓ All boxes drawn" : "All boxes drawn", "n", () => this.finish(), { class: "primary", id: "boxes-done" })),
    ].filter(Boolean));
    app.viewport.draw();
  }

  choose(id) { this.chosen = id; this.show(); }

  chooseNext() {
    if (!this.people.length) return;
    const at = this.people.findIndex((person) => person.id === this.chosen);
    this.choose(this.people[(at + 1) % this.people.length].id);
  }

  paint(context, viewport) {
    const outline = ([x, y, w, h], colour, dashes, width) => {
      const [left, top] = viewport.toCanvas([x, y]);
      context.setLineDash(dashes);
      for (const [style, thick] of [["#000a", width + 2], [colour, width]]) {
        [context.strokeStyle, context.lineWidth] = [style, thick];
        context.strokeRect(left, top, w * viewport.scale, h * viewport.scale);
      }
      context.setLineDash([]);
    };
    for (const { box } of this.proposed) outline(box, "#ffd23f", [7, 5], 1.5);
    for (const person of this.people) {
      const isChosen = person.id === this.chosen;
      outline(person.box, isChosen ? "#ff4fa3" : person.stage === "left out" ? "#8b949e" : "#3fa7ff", [], isChosen ? 3 : 2);
    }
    if (this.draft) outline(this.draft.box, "#ff4fa3", [], 2);
  }

  // The edge or corner of a box at the pointer, or null.
  grip([x, y]) {
    const near = GRIP / this.app.viewport.scale;
    const order = [...this.people].sort((a, b) => (b.id === this.chosen) - (a.id === this.chosen));
    for (const person of order) {
      const [left, top, w, h] = person.box;
      if (x < left - near || x > left + w + near || y < top - near || y > top + h + near) continue;
      const sides = [Math.abs(x - left) < near ? -1 : Math.abs(x - left - w) < near ? 1 : 0,
        Math.abs(y - top) < near ? -1 : Math.abs(y - top - h) < near ? 1 : 0];
      if (sides[0] || sides[1]) return { person, sides };
    }
    return null;
  }

  hover(point) {
    const grip = this.grip(point);
    this.app.viewport.canvas.style.cursor = !grip ? "crosshair"
      : grip.sides[0] && grip.sides[1] ? (grip.sides[0] === grip.sides[1] ? "nwse-resize" : "nesw-resize")
        : grip.sides[0] ? "ew-resize" : "ns-resize";
  }

  down(point) {
    const grip = this.grip(point);
    this.draft = { start: point, grip, box: grip ? [...grip.person.box] : [...point, 0, 0], moved: false };
  }

  move(point) {
    const { draft } = this;
    if (!draft) return;
    draft.moved = true;
    const { width, height } = this.app.picture;
    const clipped = ([x, y]) => [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
    const inside = clipped(point);
    let [x0, y0, x1, y1] = draft.grip
      ? [draft.grip.person.box[0], draft.grip.person.box[1], draft.grip.person.box[0] + draft.grip.person.box[2], draft.grip.person.box[1] + draft.grip.person.box[3]]
      : [...clipped(draft.start), ...inside];
    if (draft.grip) {
      if (draft.grip.sides[0] < 0) x0 = inside[0]; else if (draft.grip.sides[0] > 0) x1 = inside[0];
      if (draft.grip.sides[1] < 0) y0 = inside[1]; else if (draft.grip.sides[1] > 0) y1 = inside[1];
    }
    draft.box = [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];
    this.app.viewport.draw();
  }

  cancel() { this.draft = null; this.app.viewport.draw(); }

  async up() {
    const { draft } = this;
    this.draft = null;
    if (!draft) return;
    const size = Math.min(draft.box[2], draft.box[3]);
    const { scale } = this.app.viewport;
    if (!draft.moved || size < 4 || size * scale < 5) {
      if (Math.max(draft.box[2], draft.box[3]) * scale < 20) this.pick(draft.start);
      else { say("A box is at least 4 pixels wide and high. Zoom in to draw a small one."); this.show(); }
      return;
    }
    if (draft.grip) {
      draft.grip.person.box = draft.box;
      this.with(draft.grip.person.id, "box", { box: draft.box });
    } else this.add(draft.box);
  }

  // A click selects the smallest box around it.
  pick([x, y]) {
    const around = this.people.filter(({ box: [left, top, w, h] }) => x >= left && y >= top && x <= left + w && y <= top + h);
    around.sort((a, b) => a.box[2] * a.box[3] - b.box[2] * b.box[3]);
    this.choose(around[0]?.id ?? null);
  }

  add(box) {
    const image = this.app.picture.id; // another one may be open before the request is sent
    return this.change(async () => (await insistOn("add_person", { image, box })).person);
  }

  // Changes a person under a short lease.
  with(person, action, values = {}) {
    return this.change(async () => {
      await insistOn("lease", { person });
      await insistOn(action, { person, ...values });
      await act("release", { person }).catch(() => {});
      return action === "remove" ? null : person;
    });
  }

  // Sends a change, and shows what is saved; `task` returns the number of the person to be selected.
  async change(task) {
    const chosen = await this.app.queue(task);
    await this.app.queue(() => this.app.refresh());
    if (this.app.stage !== this) return;
    this.app.picture = this.app.pictureOf(this.app.picture.id);
    this.choose(chosen ?? this.chosen);
  }

  async remove() {
    const person = this.people.find((one) => one.id === this.chosen);
    if (!person) return;
    if (person.stage !== "regions" && !this.app.isSure(`Remove person ${person.id} with all annotations?`)) return;
    await this.with(person.id, "remove");
  }

  async leaveOut() {
    const person = this.people.find((one) => one.id === this.chosen);
    if (!person || person.stage === "left out") return;
    if (person.stage !== "regions" && !this.app.isSure(`Leave person ${person.id} out, without dense pose?`)) return;
    await this.with(person.id, "leave_out");
  }

  begin() {
    const person = this.people.find((one) => one.id === this.chosen);
    if (person?.stage !== "regions" || this.app.viewport.cursor) return false;
    this.app.go("regions", { person: person.id });
    return true;
  }

  async propose() {
    if (!this.app.project.hasModel) return;
    const { id } = this.app.picture;
    this.app.hint("Looking for people ...");
    try {
      const { boxes } = await get(`pictures/${id}/boxes`);
      if (this.app.stage !== this || this.app.picture.id !== id) return;
      this.proposed = boxes.filter(({ box }) => !this.people.some((person) => overlap(box, person.box) > 0.5));
      if (!this.proposed.length) say("The model found nobody else.");
    } catch (error) { this.app.report(error); }
    if (this.app.stage !== this) return;
    this.app.hint("");
    this.show();
  }

  async acceptAll() {
    const { proposed } = this;
    this.proposed = [];
    await Promise.all(proposed.map(({ box }) => this.add(box)));
  }

  async finish() {
    const image = this.app.picture.id;
    if (!await this.app.queue(() => insistOn("boxes_done", { image, value: true }))) return;
    await this.app.refresh();
    const next = this.app.project.pictures.find((picture) => !picture.boxesDone);
    if (next) await this.app.go("boxes", { picture: next.id });
    else { say("All boxes are drawn."); await this.app.go("regions"); }
  }

  async step(by) {
    const { pictures } = this.app.project;
    const at = pictures.findIndex((picture) => picture.id === this.app.picture.id);
    await this.app.go("boxes", { picture: pictures[(at + by + pictures.length) % pictures.length].id });
  }
}

function overlap(a, b) {
  const [w, h] = [0, 1].map((k) => Math.max(Math.min(a[k] + a[k + 2], b[k] + b[k + 2]) - Math.max(a[k], b[k]), 0));
  return (w * h) / (a[2] * a[3] + b[2] * b[3] - w * h);
}
