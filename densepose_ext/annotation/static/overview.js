// All pictures, with the progress of the people in them.

import { act, getName } from "./api.js";
import { button, counted, make } from "./dom.js";

export const STAGE_NAMES = {
  regions: "regions to draw", points: "points to place", review: "to review",
  accepted: "accepted", "left out": "left out",
};
export const stageClass = (stage) => `stage-${stage.replace(" ", "")}`;

export class Overview {
  constructor(app) {
    this.app = app;
    this.root = document.getElementById("overview");
    this.keys = [
      ["c", "continue with the next task", () => { this.goOn(); }],
      ["ArrowLeft", "previous picture", () => this.step(-1)],
      ["ArrowRight", "next picture", () => this.step(1)],
    ];
  }

  // Pending thumbnails would delay the picture that is opened next.
  leave() { this.root.replaceChildren(); }

  enter() {
    const { project } = this.app;
    const { counts } = project;
    const total = Object.values(counts).reduce((a, b) => a + b, 0);
    const bar = make("div", { class: "bar", role: "img", "aria-label": "progress" });
    const legend = make("div", { class: "legend" });
    for (const [stage, text] of Object.entries(STAGE_NAMES).reverse()) {
      if (stage !== "left out" && total) bar.append(make("i", { class: stageClass(stage), style: `width:${(100 * counts[stage]) / total}%` }));
      legend.append(make("span", {}, make("i", { class: `chip ${stageClass(stage)}` }), `${counts[stage]} ${text}`));
    }
    const done = project.pictures.filter((picture) => picture.boxesDone).length;
    this.cards = project.pictures.map((picture) => this.card(picture));
    this.root.replaceChildren(
      make("div", { class: "row" },
        make("span", { class: "grow" }, `${counted(project.pictures.length, "picture")}, ${done} with all boxes drawn; saved in ${project.out}`),
        button("Continue", "c", () => this.goOn(), { class: "primary", id: "go-on" })),
      bar, legend, make("div", { class: "grid" }, ...this.cards));
  }

  card(picture) {
    const chips = make("span", { class: "chips" });
    for (const person of picture.people) {
      chips.append(make("i", { class: `chip ${stageClass(person.stage)}`, title: `person ${person.id}: ${STAGE_NAMES[person.stage]}${person.holder ? `, held by ${person.holder}` : ""}${person.note ? `; ${person.note}` : ""}` }));
    }
    return make("button", { class: "card", type: "button", onclick: () => this.app.go("boxes", { picture: picture.id }) },
      make("span", { class: "thumb" }, make("img", { src: `/pictures/${picture.id}?side=240`, loading: "lazy", alt: "" })),
      make("span", { class: "caption" }, `${picture.boxesDone ? "✓ " : ""}${picture.name}`), chips);
  }

  step(by) {
    const at = this.cards.indexOf(document.activeElement);
    this.cards[Math.min(Math.max(at + by, 0), this.cards.length - 1)]?.focus();
  }

  // Opens a stage with work for this annotator, later stages first: people are finished before new
  // ones are started.
  async goOn() {
    const { app } = this;
    const { counts, pictures } = app.project;
    const open = pictures.find((picture) => !picture.boxesDone);
    for (const stage of getName() ? ["points", "regions", ...(open ? [] : ["review"])] : []) {
      const found = counts[stage] ? await act("next", { stage }) : {};
      if (found.person) { await app.go(stage, { person: found.person }); return; }
    }
    await app.go("boxes", open ? { picture: open.id } : {});
  }
}
