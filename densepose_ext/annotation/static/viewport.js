// A picture that can be panned and zoomed on a canvas, and the pointer on it.
//
// Large pictures are loaded as a preview, then as tiles of full resolution where they are zoomed in.
// A tool is an object with any of down(point), move(point), up(point), hover(point), double(point);
// points are [x, y] in pixels of the picture. The keyboard has its own pointer: arrows move it, Enter
// presses and releases it.

import { getPicture } from "./api.js";

const SMALL = 1600;
const TILES_KEPT = 48;

export class Viewport {
  // `report` is called with the error if a picture cannot be loaded.
  constructor(canvas, tileSide, report) {
    this.canvas = canvas;
    this.report = report;
    this.context = canvas.getContext("2d");
    this.tileSide = tileSide;
    this.tool = {};
    this.overlay = () => {};
    this.scale = 1;
    this.origin = [0, 0];
    this.picture = null;
    this.cursor = null; // the keyboard's pointer, in pixels of the picture
    this.isPressed = false;
    this.pointers = new Map();
    this.waiting = false;
    this.frames = 0;
    new ResizeObserver(() => { this.resize(); }).observe(canvas);
    this.listen();
    this.resize();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    const isFirst = !this.width;
    [this.width, this.height, this.ratio] = [clientWidth, clientHeight, ratio];
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    if (isFirst && this.wanted) this.show(this.wanted);
    this.draw();
  }

  // Shows a picture {id, width, height}; resolves once its preview is loaded.
  open(picture) {
    if (this.picture?.id === picture.id && this.small) return this.loaded;
    this.picture = picture;
    this.tiles = new Map();
    this.small = null;
    this.cursor = null;
    this.fit();
    const { tiles } = this; // of this opening: the same picture may be opened again
    this.loaded = getPicture(`/pictures/${picture.id}?side=${SMALL}`)
      .then((image) => { if (this.tiles === tiles) { this.small = image; this.draw(); } })
      .catch((error) => { if (this.tiles === tiles) this.report(error); });
    return this.loaded;
  }

  fit() { if (this.picture) this.show([0, 0, this.picture.width, this.picture.height]); }

  // Brings a box x, y, width, height into view.
  show(box, margin = 0.08) {
    this.wanted = box;
    if (!this.width) return;
    const [x, y, w, h] = box;
    this.scale = Math.min(this.width / (w * (1 + 2 * margin)), this.height / (h * (1 + 2 * margin)), 40);
    this.origin = [this.width / 2 - (x + w / 2) * this.scale, this.height / 2 - (y + h / 2) * this.scale];
    this.draw();
  }

  toPicture([x, y]) { return [(x - this.origin[0]) / this.scale, (y - this.origin[1]) / this.scale]; }
  toCanvas([x, y]) { return [x * this.scale + this.origin[0], y * this.scale + this.origin[1]]; }

  zoom(factor, at = [this.width / 2, this.height / 2]) {
    const fixed = this.toPicture(at);
    this.scale = Math.min(Math.max(this.scale * factor, 0.02), 60);
    this.origin = [at[0] - fixed[0] * this.scale, at[1] - fixed[1] * this.scale];
    this.draw();
  }

  pan(dx, dy) { this.origin[0] += dx; this.origin[1] += dy; this.draw(); }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.frames += 1; this.paint(); });
  }

  paint() {
    const { context, ratio } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.picture || !this.width) return;
    const scale = this.scale * ratio;
    context.setTransform(scale, 0, 0, scale, this.origin[0] * ratio, this.origin[1] * ratio);
    context.imageSmoothingEnabled = this.scale < 3;
    const tiles = this.visibleTiles();
    if (this.small && !(tiles.length && tiles.every(({ image }) => image))) {
      context.drawImage(this.small, 0, 0, this.picture.width, this.picture.height);
    }
    for (const { image, x, y } of tiles) if (image) context.drawImage(image, x, y);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.overlay(context, this);
    if (this.cursor) {
      const [x, y] = this.toCanvas(this.cursor);
      context.lineWidth = 1.5;
      for (const [colour, shift] of [["#fff", 1], ["#000", 0]]) {
        context.strokeStyle = colour;
        context.beginPath();
        context.moveTo(x - 12, y + shift); context.lineTo(x + 12, y + shift);
        context.moveTo(x + shift, y - 12); context.lineTo(x + shift, y + 12);
        context.stroke();
      }
    }
  }

  // The visible tiles; `image` is null until a tile is loaded.
  visibleTiles() {
    const { picture, tileSide: side } = this;
    const longest = Math.max(picture.width, picture.height);
    if (longest <= SMALL || this.scale * this.ratio < (1.2 * SMALL) / longest) return [];
    const [left, top] = this.toPicture([0, 0]);
    const [right, bottom] = this.toPicture([this.width, this.height]);
    const tiles = [];
    for (let row = Math.max(Math.floor(top / side), 0); row * side < Math.min(bottom, picture.height); row++) {
      for (let column = Math.max(Math.floor(left / side), 0); column * side < Math.min(right, picture.width); column++) {
        tiles.push({ image: this.tile(column, row).image, x: column * side, y: row * side });
      }
    }
    return tiles;
  }

  tile(column, row) {
    const key = `${column}/${row}`;
    let tile = this.tiles.get(key);
    if (tile) this.tiles.delete(key); // set again below, as the most recently used
    else {
      tile = { image: null };
      // A bitmap is decoded once; an <img> whenever the browser has dropped its pixels.
      const { tiles } = this;
      getPicture(`/pictures/${this.picture.id}/${key}`).then((image) => { tile.image = image; this.draw(); })
        .catch(() => setTimeout(() => { tiles.delete(key); this.draw(); }, 5000)); // then once more
      if (this.tiles.size > TILES_KEPT) this.tiles.delete(this.tiles.keys().next().value);
    }
    this.tiles.set(key, tile);
    return tile;
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), at(event));
    }, { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", (event) => this.tool.double?.(this.toPicture(at(event))));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.cursor = null;
      this.pointers.set(event.pointerId, at(event));
      if (this.pointers.size > 1 || event.button > 0 || this.isSpaceDown) {
        if (this.gesture === "tool") this.tool.cancel?.();
        this.gesture = "pan";
      } else {
        this.gesture = "tool";
        this.tool.down?.(this.toPicture(at(event)), event);
      }
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = this.pointers.get(event.pointerId);
      const now = at(event);
      if (!before) { this.tool.hover?.(this.toPicture(now)); return; }
      if (this.gesture === "pan") this.panOrPinch(event.pointerId, before, now);
      else this.tool.move?.(this.toPicture(now), event);
      this.pointers.set(event.pointerId, now);
    });
    const end = (event) => {
      if (!this.pointers.delete(event.pointerId)) return;
      if (this.gesture === "tool") this.tool.up?.(this.toPicture(at(event)), event);
      if (!this.pointers.size) this.gesture = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    window.addEventListener("keyup", (event) => { if (event.code === "Space") this.isSpaceDown = false; });
  }

  panOrPinch(id, before, now) {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    if (!other) { this.pan(now[0] - before[0], now[1] - before[1]); return; }
    const distance = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
    const middle = (point) => [(point[0] + other[0]) / 2, (point[1] + other[1]) / 2];
    const [from, to] = [middle(before), middle(now)];
    this.pan(to[0] - from[0], to[1] - from[1]);
    this.zoom(distance(now) / distance(before), to);
  }

  // Handles the keys that all stages share; returns whether the key is one of them.
  key(event) {
    const step = event.shiftKey ? 1 : 12;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way && event.altKey) this.pan(-60 * way[0], -60 * way[1]);
    else if (way && document.activeElement === this.canvas) this.moveCursor(way, step);
    else if (event.key === "Enter" && !event.ctrlKey && document.activeElement === this.canvas && this.cursor) this.press();
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.code === "Space" && document.activeElement === this.canvas) this.isSpaceDown = true;
    else return false;
    return true;
  }

  moveCursor(way, step) {
    const start = this.cursor ? this.toCanvas(this.cursor) : [this.width / 2, this.height / 2];
    const next = [start[0] + way[0] * step, start[1] + way[1] * step];
    this.cursor = this.toPicture(next);
    const out = [0, 1].map((k) => Math.min(Math.max(next[k], 30), [this.width, this.height][k] - 30) - next[k]);
    if (out[0] || out[1]) this.pan(out[0], out[1]);
    if (this.isPressed) this.tool.move?.(this.cursor, {});
    else this.tool.hover?.(this.cursor);
    this.draw();
  }

  press() {
    if (this.isPressed) { this.isPressed = false; this.tool.up?.(this.cursor, {}); }
    else { this.tool.down?.(this.cursor, {}); this.isPressed = !this.tool.isClick; }
    this.draw();
  }
}
