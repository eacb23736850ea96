// The page: its stages, the open person and their lease, and the keys.

import { act, get, getName, insist, insistOn, Refused, setName } from "./api.js";
import { counted, make, say, showTable } from "./dom.js";
import { Viewport } from "./viewport.js";
import { Overview } from "./overview.js";
import { Boxes } from "./boxes.js";
import { Regions } from "./regions.js";
import { Points } from "./points.js";
import { Review } from "./review.js";

const RENEWAL = 20000; // milliseconds; a lease lasts 75 s on the server

class App {
  async start() {
    this.setUpHeader();
    this.project = await get("project");
    this.viewport = new Viewport(document.getElementById("canvas"), this.project.tile, (error) => this.report(error));
    this.panel = document.getElementById("panel");
    this.stages = {
      pictures: new Overview(this), boxes: new Boxes(this), regions: new Regions(this),
      points: new Points(this), review: new Review(this),
    };
    this.requests = Promise.resolve();
    this.pending = 0; // number of requests that wait or are being answered
    this.going = Promise.resolve();
    window.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("unhandledrejection", (event) => this.report(event.reason));
    window.addEventListener("beforeunload", (event) => {
      this.stage?.save?.();
      if (this.pending) event.preventDefault(); // the browser asks whether to leave
    });
    window.addEventListener("visibilitychange", () => { if (document.hidden) this.stage?.save?.(); });
    window.addEventListener("pagehide", () => { this.hidden = this.person; this.release(); });
    window.addEventListener("pageshow", (event) => { // brought back by the browser's Back
      if (event.persisted) this.go(this.stageName, this.hidden ? { person: this.hidden.id } : {});
    });
    setInterval(() => this.renew(), RENEWAL);
    const { faults } = this.project;
    for (const fault of faults.slice(0, 3)) say(fault, true);
    if (faults.length > 3) say(`${counted(faults.length - 3, "more picture")} left out: see the terminal.`, true);
    await this.go("pictures");
  }

  setUpHeader() {
    const tabs = { pictures: "Pictures", boxes: "Boxes", regions: "Regions", points: "Points", review: "Review" };
    const bar = document.getElementById("tabs");
    Object.entries(tabs).forEach(([stage, text], n) => bar.append(make("button",
      { id: `tab-${stage}`, onclick: () => this.go(stage) }, text, " ", make("kbd", {}, `F${n + 1}`))));
    const name = document.getElementById("name");
    name.value = this.remembered("name") || "";
    setName(name.value);
    name.addEventListener("change", () => {
      name.value = name.value.trim() || getName();
      setName(name.value);
      this.remember("name", name.value);
      // Answers belong to the annotator who opened the person.
      if (this.person && this.person.by !== getName()) this.go(this.stageName, { person: this.person.id });
    });
    name.addEventListener("keydown", (event) => { if (event.key === "Enter") name.blur(); });
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    this.theme(this.remembered("theme") || (isDark ? "dark" : "light"));
    document.getElementById("theme").onclick = () =>
      this.theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark", true);
    document.getElementById("help-button").onclick = () => this.help();
  }

  theme(value, keep = false) {
    document.documentElement.dataset.theme = value;
    if (keep) this.remember("theme", value);
  }

  // The page works without local storage, which may be disabled.
  remembered(key) { try { return localStorage.getItem(`annotate-${key}`); } catch { return null; } }
  remember(key, value) { try { localStorage.setItem(`annotate-${key}`, value); } catch { /* as above */ } }

  async refresh() {
    this.project = await get("project");
    const { counts, error } = this.project;
    const all = Object.values(counts).reduce((a, b) => a + b, 0) - counts["left out"];
    document.getElementById("progress").textContent = `${counts.accepted} of ${all} people accepted`;
    if (error) say(error, true);
    return this.project;
  }

  pictureOf(id) { return this.project.pictures.find((picture) => picture.id === id); }

  // Switches to a stage; `chosen` is the {picture} or {person} to open there. One switch follows the
  // other, whatever answers come late; of those that wait, only the last is made.
  go(stage, chosen = {}) {
    const wanted = this.wanted = { stage, chosen };
    this.going = this.going.then(() => wanted === this.wanted && this.switchTo(stage, chosen));
    return this.going;
  }

  async switchTo(stage, chosen) {
    if (stage !== "pictures" && !getName()) {
      document.getElementById("name").focus();
      say("Enter your name first.");
      return;
    }
    const { viewport, viewport: { tool } } = this;
    try {
      this.isSwitching = this.panel.inert = true; // nobody is open until the stage is entered
      viewport.tool = {};
      viewport.isPressed = false;
      await this.stage?.leave?.();
      await this.requests;
      await this.release(); // before the lease of the same person for the next stage
      await insist(() => this.refresh());
      [this.stage, this.stageName] = [this.stages[stage], stage];
      for (const tab of document.querySelectorAll("#tabs button")) {
        if (tab.id === `tab-${stage}`) tab.setAttribute("aria-current", "page");
        else tab.removeAttribute("aria-current");
      }
      document.getElementById("overview").hidden = stage !== "pictures";
      document.getElementById("work").hidden = stage === "pictures";
      viewport.overlay = () => {};
      viewport.draw();
      this.hint("");
      this.panel.replaceChildren();
      this.isSwitching = this.panel.inert = false;
      await this.stage.enter(chosen);
    } catch (error) {
      this.report(error);
      const isNobodyOpen = Boolean(this.stage?.isOfPerson && !this.person);
      if (this.isSwitching) { // the old stage stays
        this.isSwitching = false;
        this.panel.inert = isNobodyOpen;
        viewport.tool = tool;
      } else if (isNobodyOpen) this.go("pictures");
    }
  }

  // Opens a person in the stage that they have reached.
  follow({ id, stage }) {
    if (stage === "left out") { say(`Person ${id} is left out.`); this.go("pictures"); } else this.go(stage === "accepted" ? "review" : stage, { person: id });
  }

  report(error) {
    if (!(error instanceof Refused)) { console.error(error); say(String(error), true); return; }
    say(error.message, true);
  }

  hint(text) { document.getElementById("hint").textContent = text; }

  // Leases and opens a person: by number, or the next one in the stage. Returns null if there is none.
  async openPerson(stage, number) {
    this.hint("");
    const answer = number ? await act("lease", { person: number }) : await act("next", { stage });
    if (!answer.person) return null;
    const by = getName();
    this.person = Object.assign(await get(`people/${answer.person}`), { by });
    this.picture = this.pictureOf(this.person.image);
    this.viewport.open(this.picture);
    this.viewport.show(this.person.box);
    return this.person;
  }

  // Runs a task after those before it; a switch of stages waits for it. Returns null if it fails.
  queue(task) {
    this.pending += 1;
    this.requests = this.requests.then(task).catch((error) => { this.report(error); return null; })
      .finally(() => { this.pending -= 1; });
    return this.requests;
  }

  // Why nobody can be opened in a stage.
  whyNobody(text) {
    const count = this.project.counts[this.stageName];
    return make("p", {}, count ? `${counted(count, "person", "people")} left, for other annotators.` : text);
  }

  // Changes the open person. Requests are sent one by one, since each needs the version after the last.
  change(action, values = {}) {
    const { person } = this;
    if (!person) return Promise.resolve(null); // while a person is opened again
    return this.queue(async () => {
      try {
        const answer = await insistOn(action, { person: person.id, version: person.version, ...values });
        if (answer.version !== undefined) Object.assign(person, { version: answer.version, stage: answer.stage });
        return answer;
      } catch (error) {
        // The screen no longer shows what is saved.
        if (this.person === person && error.status !== 400 && !this.isSwitching) this.reload();
        throw error;
      }
    });
  }

  // Ends the open person's stage, once, however often the key is pressed.
  async end(action, values = {}) {
    if (this.isEnding) return null;
    const { person, viewport: { tool } } = this;
    this.isEnding = this.panel.inert = true;
    this.viewport.tool = {}; // what is drawn from now on would be too late
    await this.stage.save?.();
    const answer = await this.change(action, values);
    this.isEnding = false;
    if (!answer && this.person === person && !this.isSwitching) {
      this.panel.inert = false;
      this.viewport.tool = tool;
    }
    return answer;
  }

  reload() {
    const { person } = this;
    this.person = null;
    this.panel.inert = true;
    this.viewport.tool = {};
    this.go(this.stageName, { person: person.id });
  }

  async release() {
    const { person } = this;
    if (!person) return;
    this.person = null;
    await act("release", { person: person.id }).catch(() => {});
  }

  renew() {
    if (this.person) act("lease", { person: this.person.id }).catch((error) => this.report(error));
  }

  key(event) {
    const { target } = event;
    const stages = Object.keys(this.stages);
    const number = /^F([1-5])$/.exec(event.key)?.[1];
    const isField = target.matches?.("input, textarea, select");
    if (document.getElementById("dialog").open || (isField && !number)) return;
    if (isField) target.blur(); // takes the name
    let used = true;
    if (number) this.go(stages[number - 1]);
    else if (event.key === "?") this.help();
    else used = this.stageKey(event) || (this.stage !== this.stages.pictures && this.sharedKey(event));
    if (used) event.preventDefault();
  }

  stageKey(event) {
    if (event.altKey || event.metaKey) return false;
    const name = (event.ctrlKey ? "Ctrl+" : "") + (event.shiftKey && event.key.length > 1 ? "Shift+" : "") + event.key;
    // Enter and Space belong to a focused button.
    if (["Enter", " "].includes(event.key) && event.target.matches?.("button") && !event.target.matches(".view")) return false;
    if (this.panel.inert || (this.stage?.isOfPerson && !this.person)) return false; // nobody is open, or not yet
    const found = this.stage?.keys.find(([keys]) => keys.split(" ").includes(event.key === " " ? "Space" : name));
    if (!found) return false;
    return found[2](event) !== false;
  }

  sharedKey(event) {
    if (event.key === "0") { this.viewport.fit(); return true; }
    if (event.key === "9" && this.person) { this.viewport.show(this.person.box); return true; }
    return this.viewport.key(event);
  }

  // Asks for confirmation of what cannot be undone: true the second time within five seconds.
  isSure(question) {
    const isSure = this.question?.text === question && performance.now() - this.question.time < 5000;
    this.question = isSure ? null : { text: question, time: performance.now() };
    if (!isSure) say(`${question} Repeat to confirm.`);
    return isSure;
  }

  help() {
    const own = (this.stage?.keys ?? []).map(([keys, text]) => [keys, text]);
    const space = own.some(([keys]) => keys === "Space") ? "" : "Space, ";
    const shared = [["F1 ... F5", "switch to a stage"], ["+ -", "zoom; also with the wheel or two fingers"],
      ["0", "show the whole picture"], ["9", "show the person"],
      [`${space}right button`, "drag the picture; also Alt and arrows"],
      ["arrows", "with the picture focused: move a pointer; Shift for small steps"], ["Enter", "press or release the pointer"]];
    showTable("Keys", [...own, ...shared]);
  }
}

const app = new App();
window.annotation = app; // for tests of the page
app.start().catch((error) => app.report(error));
