// The six views of a region, oriented as in the picture: they show marks, and take clicks.

import { make } from "./dom.js";

export class ViewGrid {
  // `onplace(view, x, y)` is called with pixels of the view.
  constructor(side, onplace) {
    this.side = side;
    this.onplace = onplace;
    this.element = make("div", { class: "views" });
    this.layers = [];
    this.cursor = null;
  }

  show(region, { best, rolls }) {
    this.region = region;
    this.rolls = rolls;
    this.chosen = null;
    this.views = rolls.map((roll, number) => {
      const turned = make("div", { class: "turned", style: `transform: rotate(${roll}deg)` },
        make("img", { src: `/views/${region}/${number}`, alt: "", draggable: "false" }));
      const view = make("div", { class: `view${number === best ? " best" : ""}`, "data-view": number, tabindex: 0,
        role: "button" }, turned, make("span", { class: "tag" }));
      view.addEventListener("pointerdown", (event) => { if (event.button === 0) this.press(number, event); });
      return { view, turned };
    });
    // The best view always comes first.
    const order = rolls.map((_, number) => (best + number) % rolls.length);
    this.order = order;
    this.element.replaceChildren(...order.map((number) => this.views[number].view));
    order.forEach((number, place) => {
      const { view } = this.views[number];
      view.setAttribute("aria-label", `view ${place + 1}`);
      view.querySelector(".tag").textContent = String(place + 1);
    });
    this.mark([]);
  }

  press(number, event) {
    event.preventDefault();
    const box = this.views[number].view.getBoundingClientRect();
    // Rotation keeps the view's centre; clientWidth is its size before rotation.
    const size = this.views[number].view.clientWidth;
    const [dx, dy] = [event.clientX - (box.left + box.width / 2), event.clientY - (box.top + box.height / 2)];
    const angle = (-this.rolls[number] * Math.PI) / 180;
    const x = dx * Math.cos(angle) - dy * Math.sin(angle);
    const y = dx * Math.sin(angle) + dy * Math.cos(angle);
    this.place(number, (x / size + 0.5) * this.side, (y / size + 0.5) * this.side);
  }

  place(number, x, y) { this.onplace(number, x, y); }

  // Shows answers: `layers` holds [x, y, isVisible] per view, or null; `kinds` are CSS classes.
  mark(layers, kinds = ["", "second"]) {
    for (const { turned } of this.views) for (const old of turned.querySelectorAll(".mark")) old.remove();
    layers.forEach((marks, k) => marks?.forEach(([x, y, seen], number) => {
      this.views[number].turned.append(make("i", { class: `mark ${kinds[k]} ${seen ? "" : "hidden"}`,
        style: `left:${(100 * x) / this.side}%;top:${(100 * y) / this.side}%` }));
    }));
  }

  // Selects a view by its position, and shows a crosshair in it.
  choose(place) {
    if (!this.views) return;
    this.chosen = this.order[place];
    this.cursor ??= [0, 0];
    this.drawCursor();
  }

  // Moves the crosshair; false if no view is selected.
  move(dx, dy) {
    if (this.chosen === null || this.chosen === undefined) return false;
    const half = this.side / 2 - 2;
    this.cursor = [Math.min(Math.max(this.cursor[0] + dx, -half), half), Math.min(Math.max(this.cursor[1] + dy, -half), half)];
    this.drawCursor();
    return true;
  }

  drawCursor() {
    this.views.forEach(({ view }, number) => {
      view.classList.toggle("chosen", number === this.chosen);
      view.querySelector(".crosshair")?.remove();
      if (number !== this.chosen) return;
      const [x, y] = this.cursor.map((value) => 50 + (100 * value) / this.side);
      view.append(make("i", { class: "crosshair", style: `left:${x}%;top:${y}%` }));
    });
  }

  // Places the point at the crosshair; false if there is none.
  placeAtCursor() {
    if (this.chosen === null || this.chosen === undefined) return false;
    const angle = (-this.rolls[this.chosen] * Math.PI) / 180;
    const [dx, dy] = this.cursor;
    this.place(this.chosen, dx * Math.cos(angle) - dy * Math.sin(angle) + this.side / 2,
      dx * Math.sin(angle) + dy * Math.cos(angle) + this.side / 2);
    return true;
  }
}
