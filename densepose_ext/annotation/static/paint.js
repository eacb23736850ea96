// Drawing on a 256 x 256 region map: the person's box, stretched to a square.

export const SIDE = 256;

export function decode(runs) {
  const map = new Uint8Array(SIDE * SIDE);
  for (let k = 0, at = 0; k < runs.length; k += 2) {
    map.fill(runs[k], at, at + runs[k + 1]);
    at += runs[k + 1];
  }
  return map;
}

export function encode(map) {
  const runs = [];
  for (let start = 0, k = 1; k <= map.length; k++) {
    if (k === map.length || map[k] !== map[start]) { runs.push(map[start], k - start); start = k; }
  }
  return runs;
}

// Sets the region of pixels for which `inside(x, y)` holds; with `keep`, only of empty ones.
function set(map, [x0, y0, x1, y1], region, keep, inside) {
  for (let y = Math.max(Math.floor(y0), 0); y <= Math.min(Math.ceil(y1), SIDE - 1); y++) {
    for (let x = Math.max(Math.floor(x0), 0); x <= Math.min(Math.ceil(x1), SIDE - 1); x++) {
      const k = y * SIDE + x;
      if ((!keep || !map[k] || !region) && inside(x + 0.5, y + 0.5)) map[k] = region;
    }
  }
}

// A stroke from a to b. It has two radii, since pixels of the map are not square in the picture.
export function stroke(map, a, b, radii, region, keep) {
  const [rx, ry] = [Math.max(radii[0], 0.5), Math.max(radii[1], 0.5)];
  const [ax, ay, dx, dy] = [a[0] / rx, a[1] / ry, (b[0] - a[0]) / rx, (b[1] - a[1]) / ry];
  const length = dx * dx + dy * dy;
  const bounds = [Math.min(a[0], b[0]) - rx, Math.min(a[1], b[1]) - ry, Math.max(a[0], b[0]) + rx, Math.max(a[1], b[1]) + ry];
  set(map, bounds, region, keep, (x, y) => {
    const [px, py] = [x / rx - ax, y / ry - ay];
    const t = length ? Math.min(Math.max((px * dx + py * dy) / length, 0), 1) : 0;
    return (px - t * dx) ** 2 + (py - t * dy) ** 2 <= 1;
  });
}

export function polygon(map, points, region, keep) {
  if (points.length < 3) return;
  const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
  const bounds = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  set(map, bounds, region, keep, (x, y) => {
    let inside = false;
    for (let k = 0, j = points.length - 1; k < points.length; j = k++) {
      const [[ax, ay], [bx, by]] = [points[k], points[j]];
      if ((ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
    }
    return inside;
  });
}

// Flood fill. Returns false, without a change, for an empty area that touches the border of the box:
// it is not enclosed by the person.
export function fill(map, [x, y], region) {
  const start = Math.floor(y) * SIDE + Math.floor(x);
  if (x < 0 || y < 0 || x >= SIDE || y >= SIDE || map[start] === region) return false;
  const old = map[start];
  const seen = new Uint8Array(map.length);
  const stack = [start];
  const found = [];
  seen[start] = 1;
  while (stack.length) {
    const k = stack.pop();
    const column = k % SIDE;
    const row = (k - column) / SIDE;
    if (!old && (!column || !row || column === SIDE - 1 || row === SIDE - 1)) return false;
    found.push(k);
    for (const [next, ok] of [[k - 1, column > 0], [k + 1, column < SIDE - 1], [k - SIDE, row > 0], [k + SIDE, row < SIDE - 1]]) {
      if (ok && !seen[next] && map[next] === old) { seen[next] = 1; stack.push(next); }
    }
  }
  for (const k of found) map[k] = region;
  return true;
}

// Draws the map in the colours of the regions.
export function toImage(map, colours, context) {
  const image = context.createImageData(SIDE, SIDE);
  for (let k = 0; k < map.length; k++) {
    if (!map[k]) continue;
    const colour = colours[map[k]];
    image.data.set([colour[0], colour[1], colour[2], 255], 4 * k);
  }
  context.putImageData(image, 0, 0);
}
