// The page: a picture, the people that the server finds in it, and the surface point at the pointer.

import { getBytes, getJson, predict, Refused } from "/static/api.js";
import { Body } from "/static/body.js";
import { Film, isFilm } from "/static/film.js";
import { People } from "/static/people.js";
import { changeTheme, startTheme } from "/static/theme.js";

const byId = (id) => document.getElementById(id);
const canvas = byId("canvas");
const context = canvas.getContext("2d");
// Views: the page paints some from I, U, V, over the picture or on black; the server draws the others.
const VIEWS = {
  picture: { name: "Picture" },
  parts: { name: "Parts", isPainted: true },
  u: { name: "U", isPainted: true },
  v: { name: "V", isPainted: true },
  contour: { name: "Contour", isOfServer: true },
  iuv: { name: "IUV", isPainted: true, isOnBlack: true },
  overlay: { name: "Overlay", isOfServer: true, isOfVertices: true },
};
const state = { view: "parts", file: null, picture: null, people: null, layer: null, pointer: null,
  film: null };
let models, colours, body, asking = new AbortController(), drawing = new AbortController();

function say(text) { byId("status").textContent = text; }

function showError(error) {
  if (error?.name === "AbortError") return;
  byId("error").textContent = error ? error.message : "";
  byId("error").hidden = !error;
  if (error && !(error instanceof Refused)) console.error(error);
}

function lowestScore() { return Number(byId("score").value) / 100; }

function chosenModel() { return models.models.find(({ name }) => name === byId("model").value); }

// Requests the people of the picture, and cancels the previous request.
async function find() {
  if (!state.file) return;
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const model = chosenModel();
  document.body.classList.add("busy");
  say(model.loaded ? "Looking for people…" : "Loading the model…");
  try {
    const options = { model: model.name, min_score: model.min_score };
    const answer = await (await predict(state.file, options, signal)).json();
    const people = await People.of(answer);
    if (signal.aborted) return;
    model.loaded = true;
    state.people = people;
    if (!state.picture) fit(people.width, people.height);
    choose();
  } catch (error) {
    if (signal.aborted) return;
    state.people = null;
    say("");
    showError(error);
    readPointer();
    if (!state.picture) { // nothing to be shown
      canvas.hidden = byId("another").hidden = true;
      byId("invitation").hidden = false;
    }
    paint();
  } finally {
    if (!signal.aborted) document.body.classList.remove("busy");
    byId("downloads").disabled = !state.people;
  }
}

// Applies the minimum score.
function choose() {
  byId("score-value").textContent = lowestScore().toFixed(2);
  if (!state.people) return;
  state.people.choose(lowestScore());
  const [count, all] = [state.people.chosen.length, state.people.everybody.length];
  const hidden = all > count ? `, ${all - count} with lower scores` : "";
  const unseen = state.picture ? "" : "; this browser cannot show the picture itself";
  say(`${count === 1 ? "1 person" : `${count} people`}${hidden}${unseen}`);
  paint();
  readPointer();
}

// Prepares the view's layer over the picture.
async function paint() {
  const { people } = state;
  for (const button of byId("views").children) {
    const view = VIEWS[button.value];
    button.hidden = Boolean(view.isOfVertices && (!people || people.hasCharts));
    button.disabled = Boolean(people && !people.hasCharts && (view.isPainted || button.value === "contour"));
  }
  if (byId("views").querySelector(`[value=${state.view}]`).matches(":disabled, [hidden]")) {
    state.view = people.hasCharts ? "parts" : "overlay";
  }
  for (const button of byId("views").children) {
    button.setAttribute("aria-pressed", String(button.value === state.view));
  }
  const view = VIEWS[state.view];
  byId("opacity").disabled = !view.isPainted || Boolean(view.isOnBlack);
  drawing.abort();
  if (state.layerView !== state.view) state.layer = null; // of another view
  state.layerView = state.view;
  if (people && view.isOfServer) await fetchLayer(state.view);
  else state.layer = people && view.isPainted ? people.painted(state.view, colours) : null;
  draw();
}

// Requests a layer that the server draws.
async function fetchLayer(format) {
  drawing = new AbortController();
  const { signal } = drawing;
  try {
    const layer = await createImageBitmap(await (await ask(format, signal)).blob());
    if (!signal.aborted) state.layer = layer;
  } catch (error) {
    if (signal.aborted) return;
    state.layer = null;
    showError(error);
  }
}

const ask = (format, signal) => predict(
  state.file, { format, model: byId("model").value, min_score: lowestScore() }, signal);

function fit(width, height) {
  [canvas.width, canvas.height] = [width, height];
  setShape(canvas, width, height);
}

function setShape(element, width, height) {
  element.style.setProperty("--ratio", width / height);
  element.style.setProperty("--width", width);
}

function draw() {
  const { picture, layer, people, view } = state;
  const { isOnBlack, isOfServer } = VIEWS[view];
  context.globalAlpha = 1;
  context.fillStyle = picture && !isOnBlack ? "#fff" : "#000"; // the server blends transparency with white
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (picture && !isOnBlack) context.drawImage(picture, 0, 0);
  if (layer) {
    context.globalAlpha = isOnBlack || isOfServer ? 1 : Number(byId("opacity").value) / 100;
    context.drawImage(layer, 0, 0, canvas.width, canvas.height);
    context.globalAlpha = 1;
  }
  // Lines have a constant width on the screen.
  const unit = canvas.width / (canvas.clientWidth || canvas.width);
  if (people && byId("boxes").checked) people.chosen.forEach((person) => drawBox(person, unit));
  if (state.pointer && people) drawPointer(state.pointer, unit);
}

function drawBox({ box: [x, y, width, height], score }, unit) {
  context.lineWidth = 2 * unit;
  context.strokeStyle = "#fff";
  context.strokeRect(x, y, width, height);
  context.font = `600 ${13 * unit}px system-ui, sans-serif`;
  const text = score.toFixed(2);
  const top = Math.max(y, 18 * unit);
  context.fillStyle = "#000c";
  context.fillRect(x, top - 18 * unit, context.measureText(text).width + 10 * unit, 18 * unit);
  context.fillStyle = "#fff";
  context.fillText(text, x + 5 * unit, top - 5 * unit);
}

function drawPointer([x, y], unit) {
  for (const [colour, width] of [["#000", 3], ["#fff", 1.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * unit;
    context.beginPath();
    context.arc(x + .5, y + .5, 7 * unit, 0, 2 * Math.PI);
    context.stroke();
  }
}

// Shows the surface point at the pointer, as text and on the body.
function readPointer() {
  const { people, pointer } = state;
  const found = people && pointer && people.at(...pointer);
  body?.show(found);
  const place = byId("place");
  if (!found) {
    place.replaceChildren(make("span", "faint", hint()));
    return;
  }
  const name = make("div", "part", "", make("span", "swatch"), colours.parts[found.part]);
  name.firstChild.style.background = `rgb(${colours.part_colours[found.part].join()})`;
  const values = `I ${found.part}   U ${found.u.toFixed(3)}   V ${found.v.toFixed(3)}`;
  const where = people.chosen.length > 1 ? `person ${found.person}, ` : "";
  place.replaceChildren(name, make("div", "values", values),
    make("div", "values", `${where}pixel ${pointer.join(", ")}`));
}

function hint() {
  if (!state.people) return "Point at a person in a picture to see where each pixel lies on the body.";
  if (!state.people.hasCharts) return "This model predicts vertices of a mesh, not I, U and V.";
  return state.pointer ? "Nobody is here." : "Point at a person to see where each pixel lies on the body.";
}

function make(tag, className, text, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...(text ? [text] : []), ...children);
  return element;
}

function point(x, y) {
  const inside = (value, length) => Math.min(Math.max(value, 0), length - 1);
  state.pointer = [inside(x, canvas.width), inside(y, canvas.height)];
  readPointer();
  requestAnimationFrame(draw);
}

function pointAt(event) {
  const { left, top, width } = canvas.getBoundingClientRect();
  const scale = canvas.width / width;
  point(Math.floor((event.clientX - left) * scale), Math.floor((event.clientY - top) * scale));
}

// Has the video drawn with the current options, and cancels the previous drawing.
async function drawFilm() {
  showError(null);
  byId("film-download").hidden = true;
  const [film, last] = [new Film(state.file), state.film];
  state.film = film;
  const options = { model: byId("model").value, min_score: lowestScore(), draw: state.view };
  if (byId("smooth").checked) options.smooth = 0.5;
  try {
    await last?.leave();
    if (state.film === film) await film.draw(options);
  } catch (error) { if (state.film === film && !film.isLeft) { say(""); showError(error); } }
}

function showFilm() {
  asking.abort();
  document.body.classList.remove("busy");
  canvas.hidden = byId("invitation").hidden = true;
  byId("film").hidden = byId("another").hidden = false;
  if (VIEWS[state.view].isOfVertices || state.view === "picture") state.view = "parts";
  paint();
  drawFilm();
}

function stopFilm() {
  state.film.stop();
  say("Stopped");
}

function leaveFilm() {
  state.film?.leave();
  state.film = null;
  byId("film").hidden = true;
}

function openFirst(files) {
  if (!files.length) return;
  open(files[0]);
  if (files.length > 1) showError(new Refused(`Of the ${files.length} files, only ${files[0].name} is shown.`));
}

async function open(file) {
  showError(null);
  say(""); // what it says is of the file before
  asking.abort(); // so are the answers
  drawing.abort();
  document.body.classList.toggle("of-film", isFilm(file));
  Object.assign(state, { file, people: null, layer: null, pointer: null, picture: null });
  byId("downloads").disabled = true;
  if (isFilm(file)) {
    showFilm();
    return;
  }
  leaveFilm();
  // null: a format that the browser cannot show; the server may read it and return its size.
  const picture = await createImageBitmap(file).catch(() => null);
  if (state.file !== file) return; // another one was chosen in the meantime
  state.picture = picture;
  fit(picture?.width ?? 640, picture?.height ?? 480);
  byId("invitation").hidden = true;
  canvas.hidden = byId("another").hidden = false;
  draw();
  readPointer();
  await find();
}

async function download(format) {
  const button = byId("downloads").querySelector(`[value=${format}]`);
  const { file } = state; // another one may be open before the answer
  button.disabled = true;
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await (await ask(format)).blob());
    const stem = (file.name || "picture").replace(/\.[^.]*$/, "");
    link.download = stem + models.formats[format].ending;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) { showError(error); } finally { button.disabled = false; }
}

function listen() {
  byId("file").addEventListener("change", (event) => {
    openFirst(event.target.files);
    event.target.value = ""; // the same file may be chosen again
  });
  document.addEventListener("paste", (event) => openFirst(event.clipboardData.files));
  const stage = byId("stage");
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      stage.classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
      if (kind !== "drop") return;
      openFirst(event.dataTransfer.files);
      if (!event.dataTransfer.files.length) showError(new Refused("This is not a file. Save it as one, and drop that."));
    });
  }
  canvas.addEventListener("pointermove", pointAt);
  canvas.addEventListener("pointerdown", pointAt);
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") { state.pointer = null; readPointer(); draw(); }
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = state.pointer ?? [canvas.width >> 1, canvas.height >> 1];
    const length = event.shiftKey ? Math.max(canvas.width >> 5, 1) : 1;
    point(x + length * step[0], y + length * step[1]);
  });
  byId("model").addEventListener("change", () => { setScores(); if (!state.film) { showError(null); find(); } });
  byId("score").addEventListener("input", choose);
  byId("film-again").addEventListener("click", drawFilm);
  byId("film-stop").addEventListener("click", stopFilm);
  byId("film-video").addEventListener("loadedmetadata", ({ target }) => {
    setShape(target, target.videoWidth, target.videoHeight);
  });
  byId("film-video").addEventListener("error", ({ target }) => {
    if (state.film?.isOver) showError(new Refused("This browser cannot play the video; download it."));
    else target.hidden = true; // the original: only the server can read it
  });
  window.addEventListener("pagehide", () => { if (state.film && !state.film.isOver) stopFilm(); });
  byId("opacity").addEventListener("input", () => { showOpacity(); draw(); });
  byId("boxes").addEventListener("change", draw);
  byId("theme").addEventListener("click", changeTheme);
  new ResizeObserver(draw).observe(canvas);
}

function showOpacity() { byId("opacity-value").textContent = `${byId("opacity").value} %`; }

// Each model has a minimum score.
function setScores() {
  byId("score").min = Math.ceil(chosenModel().min_score * 100);
  byId("score-value").textContent = lowestScore().toFixed(2);
}

function addButtons() {
  for (const [value, { name }] of Object.entries(VIEWS)) {
    const button = make("button", "", name);
    Object.assign(button, { type: "button", value });
    button.addEventListener("click", () => { state.view = value; paint(); });
    byId("views").append(button);
  }
  for (const [value, { purpose, ending }] of Object.entries(models.formats)) {
    const button = make("button", "", value);
    Object.assign(button, { type: "button", value, title: `${purpose} (${ending})` });
    button.addEventListener("click", () => download(value));
    byId("downloads").querySelector(".row").append(button);
  }
  for (const { name, kind } of models.models) {
    byId("model").append(new Option(kind === "shipped" ? name : `${name} (${kind})`, name));
  }
}

async function start() {
  startTheme();
  [models, colours] = await Promise.all([getJson("/models"), getJson("/colours")]);
  addButtons();
  byId("model").value = models.default;
  byId("score").value = Math.round(models.min_score * 100);
  setScores();
  showOpacity();
  listen();
  paint();
  readPointer();
  try {
    body = new Body(byId("body"), await getBytes("/body"), colours.part_colours);
  } catch (error) {
    byId("body").hidden = true; // without WebGL, the page only names the parts
    console.warn(error.message);
  }
}

start().catch(showError);
