// The body in 3-D, which turns until the marked point faces the viewer.

const VERTEX = `
attribute vec3 position, normal, colour;
uniform mat3 turn;
uniform vec2 scale;
uniform mediump float size; // with the same precision as in the other shader
varying vec3 paint;
varying float light;
void main() {
  vec3 p = turn * position;
  gl_Position = vec4(p.xy * scale, p.z * .4, 1.);
  gl_PointSize = size;
  light = size > 0. ? 1. : .45 + .55 * max(dot(turn * normal, vec3(.25, .3, -.92)), 0.);
  paint = colour;
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 paint;
varying float light;
uniform float size;
void main() {
  vec3 shown = paint * light;
  if (size > 0.) {
    float r = length(gl_PointCoord - .5) * 2.;
    if (r > 1.) discard;
    shown = r > .78 ? vec3(0.) : r > .5 ? vec3(1.) : vec3(.9, 0., .45);
  }
  gl_FragColor = vec4(shown, 1.);
}`;
const REST = .45; // angle when no point is shown, radians
const MARK = 15; // diameter of the mark, CSS pixels

export class Body {
  // content: the file /body; colours: RGB of each part.
  constructor(canvas, content, colours) {
    this.canvas = canvas;
    this.read(content);
    this.angle = this.wanted = REST;
    this.place = null;
    this.gl = canvas.getContext("webgl", { antialias: true, alpha: true });
    if (!this.gl) throw new Error("this browser has no WebGL");
    this.prepare(colours);
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => { this.prepare(colours); this.draw(); });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) this.turnTo(this.angle + event.movementX / 90, true);
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) { this.turnTo(this.wanted + step * Math.PI / 8); event.preventDefault(); }
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  read(content) {
    const [count, triangles] = new Uint32Array(content, 0, 2);
    let at = 8;
    const next = (type, length) => {
      const block = new type(content, at, length);
      at += block.byteLength;
      return block;
    };
    this.positions = next(Float32Array, 3 * count);
    this.normals = next(Float32Array, 3 * count);
    this.uv = next(Float32Array, 2 * count);
    this.faces = next(Uint16Array, 3 * triangles);
    this.parts = next(Uint8Array, count);
    this.facesOf = Array.from({ length: 25 }, () => []);
    for (let n = 0; n < triangles; n += 1) this.facesOf[this.parts[this.faces[3 * n]]].push(n);
  }

  prepare(colours) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`WebGL: ${gl.getProgramInfoLog(program)}`);
    }
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    const paint = Float32Array.from([...this.parts].flatMap((part) => colours[part]), (c) => c / 255);
    this.attributes = ["position", "normal", "colour"].map((name, n) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, [this.positions, this.normals, paint][n], gl.STATIC_DRAW);
      return { place: gl.getAttribLocation(program, name), buffer };
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.faces, gl.STATIC_DRAW);
    this.uniforms = Object.fromEntries(["turn", "scale", "size"].map(
      (name) => [name, gl.getUniformLocation(program, name)]));
  }

  // Marks the surface point {part, u, v}; null: none.
  show(place) {
    this.place = place && this.locate(place.part, place.u, place.v);
    if (this.place) {
      const [x, y] = this.place.normal;
      // Points that face up or down are visible from any side.
      if (Math.hypot(x, y) > .2) this.turnTo(Math.atan2(x, -y));
    }
    this.draw();
  }

  // Position and normal of a surface point; a point outside its chart is moved to the border.
  locate(part, u, v) {
    let best = null;
    for (const face of this.facesOf[part]) {
      const corners = this.faces.subarray(3 * face, 3 * face + 3);
      const [a, b, c] = [0, 1, 2].map((n) => this.uv.subarray(2 * corners[n], 2 * corners[n] + 2));
      const area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]);
      if (!area) continue;
      const s = Math.max(((u - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (v - a[1])) / area, 0);
      const t = Math.max(((b[0] - a[0]) * (v - a[1]) - (u - a[0]) * (b[1] - a[1])) / area, 0);
      const sum = Math.max(s + t, 1);
      const weights = [1 - (s + t) / sum, s / sum, t / sum];
      const [x, y] = [0, 1].map((k) => weights[0] * a[k] + weights[1] * b[k] + weights[2] * c[k]);
      const distance = Math.hypot(x - u, y - v);
      if (!best || distance < best.distance) best = { corners, weights, distance };
      if (distance < 1e-7) break;
    }
    const mean = (of) => [0, 1, 2].map((axis) => best.corners.reduce(
      (total, n, k) => total + best.weights[k] * of[3 * n + axis], 0));
    return { position: mean(this.positions), normal: mean(this.normals) };
  }

  turnTo(angle, isAtOnce = matchMedia("(prefers-reduced-motion: reduce)").matches) {
    const whole = 2 * Math.PI;
    const way = ((angle - this.angle) % whole + 1.5 * whole) % whole - whole / 2;
    this.wanted = this.angle + way;
    if (isAtOnce) this.angle = this.wanted;
    this.draw();
  }

  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      const rest = this.wanted - this.angle;
      this.angle = Math.abs(rest) < .01 ? this.wanted : this.angle + .22 * rest;
      this.render();
      if (this.angle !== this.wanted) this.draw();
    });
  }

  render() {
    const { gl, canvas, uniforms } = this;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [sin, cos] = [Math.sin(this.angle), Math.cos(this.angle)];
    // Columns: the body's x, y and z axes; rows: right, up, and away from the viewer.
    gl.uniformMatrix3fv(uniforms.turn, false, [cos, 0, -sin, sin, 0, cos, 0, 1, 0]);
    const scale = 1.06; // the body is about 1.7 m high
    gl.uniform2f(uniforms.scale, scale * canvas.height / canvas.width, scale);
    gl.uniform1f(uniforms.size, 0);
    this.attributes.forEach(({ place, buffer }) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
    });
    gl.drawElements(gl.TRIANGLES, this.faces.length, gl.UNSIGNED_SHORT, 0);
    if (!this.place) return;
    this.attributes.forEach(({ place }, n) => {
      gl.disableVertexAttribArray(place);
      gl.vertexAttrib3fv(place, n ? [1, 1, 1] : this.place.position);
    });
    gl.uniform1f(uniforms.size, MARK * ratio);
    gl.disable(gl.DEPTH_TEST); // the mark stays visible while the body turns
    gl.drawArrays(gl.POINTS, 0, 1);
    gl.enable(gl.DEPTH_TEST);
  }
}
