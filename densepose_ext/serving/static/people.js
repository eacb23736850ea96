// The people of a picture, and their I, U, V at each pixel.

// Decodes a person from the server's response, with I, U, V in R, G, B.
async function decoded(entry) {
  const [x, y] = entry.bbox.map(Math.floor);
  const person = { box: entry.bbox, score: entry.score, x, y };
  if (!entry.uv_data) return person; // of a CSE model
  const bytes = Uint8Array.from(atob(entry.uv_data), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }), {
    colorSpaceConversion: "none", premultiplyAlpha: "none",
  });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { width, height } = bitmap;
  return { ...person, width, height, iuv: context.getImageData(0, 0, width, height).data };
}

export class People {
  static async of(answer) {
    return new People(answer, await Promise.all(answer.people.map(decoded)));
  }

  constructor({ width, height }, everybody) {
    Object.assign(this, { width, height, everybody });
    this.hasCharts = everybody.every((person) => person.iuv);
    this.choose(0);
  }

  // Hides people with lower scores.
  choose(score) {
    this.chosen = this.everybody.filter((person) => person.score >= score);
    this.iuv = new Uint8Array(this.width * this.height * 3);
    this.index = new Uint16Array(this.width * this.height);
    for (let n = this.chosen.length - 1; n >= 0; n -= 1) this.put(n); // the best score is on top
  }

  put(n) {
    const { x, y, width, height, iuv } = this.chosen[n];
    if (!iuv) return;
    for (let row = Math.max(0, -y); row < Math.min(height, this.height - y); row += 1) {
      for (let column = Math.max(0, -x); column < Math.min(width, this.width - x); column += 1) {
        const from = 4 * (row * width + column);
        if (!iuv[from]) continue;
        const to = (row + y) * this.width + column + x;
        this.iuv.set(iuv.subarray(from, from + 3), 3 * to);
        this.index[to] = n + 1;
      }
    }
  }

  // Person (from 1), I, U, V at a pixel; null for background.
  at(x, y) {
    const place = y * this.width + x;
    if (!this.index[place]) return null;
    const [part, u, v] = this.iuv.subarray(3 * place, 3 * place + 3);
    // The values were truncated to 8 bits.
    return { person: this.index[place], part, u: Math.min((u + .5) / 255, 1), v: Math.min((v + .5) / 255, 1) };
  }

  // A canvas with the people in colour: kind is parts, u, v or iuv.
  painted(kind, colours) {
    const canvas = new OffscreenCanvas(this.width, this.height);
    const picture = new ImageData(this.width, this.height);
    const pixels = new Uint32Array(picture.data.buffer);
    const table = packed(kind === "parts" ? colours.part_colours : colours.uv_colours);
    const channel = { parts: 0, u: 1, v: 2 }[kind];
    for (let n = 0; n < pixels.length; n += 1) {
      if (!this.index[n]) continue;
      const at = 3 * n;
      pixels[n] = kind === "iuv"
        ? (255 << 24) | (this.iuv[at + 2] << 16) | (this.iuv[at + 1] << 8) | this.iuv[at]
        : table[this.iuv[at + channel]];
    }
    canvas.getContext("2d").putImageData(picture, 0, 0);
    return canvas;
  }
}

const packed = (rgb) => Uint32Array.from(rgb, ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r);
