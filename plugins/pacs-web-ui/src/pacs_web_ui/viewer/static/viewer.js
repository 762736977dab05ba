// The viewer: what is in the study, viewports, and the buttons around them.

import "../../../static/pictures.js";
import { Cine } from "./cine.js";
import { framesOf } from "./frames.js";
import { values } from "./dicom.js";
import { listenToKeys } from "./keys.js";
import { ask, FrameLoader } from "./loading.js";
import { Measurements } from "./measuring.js";
import { showDocument } from "./documents.js";
import { explain, t } from "./texts.js";
import { DRAGS, PointerTools } from "./tools.js";
import { nearestTo } from "./planes.js";
import { Viewport } from "./viewport.js";

const LAYOUTS = { 1: 1, 2: 2, 4: 4 };

class Viewer {
  constructor(root) {
    this.root = root;
    this.study = root.dataset.dicomweb; // address of the study, in DICOMweb
    this.tool = "window";
    this.measurements = new Measurements();
    this.loader = new FrameLoader();
    this.grid = root.querySelector(".grid");
    this.sets = Array.from(root.querySelectorAll(".set"));
    this.windows = root.querySelector("#windows");
    this.rate = root.querySelector("#rate");
    this.viewports = Array.from({ length: LAYOUTS[4] }, () => this._makeViewport());
    this.metadata = new Map();
    this.isLinked = false; // whether stacks of one body are scrolled together
    this._layout = 1;
    this.lay(1);
    this.activate(this.viewports[0]);
    this._listen();
    this._openFirst();
  }

  _makeViewport() {
    const root = document.getElementById("viewport").content.firstElementChild.cloneNode(true);
    this.grid.append(root);
    const viewport = new Viewport(root, this.loader, this.measurements, (changed) => this._refresh(changed));
    viewport.tools = new PointerTools(viewport, this);
    viewport.cine = new Cine(viewport, () => this._refresh(viewport));
    root.addEventListener("focusin", () => this.activate(viewport));
    return viewport;
  }

  _listen() {
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-tool], [data-do], .set");
      if (!button) return;
      if (button.dataset.tool) this.choose(button.dataset.tool);
      else if (button.dataset.do) this.do(button.dataset.do);
      else this.open(button);
    });
    this.windows.addEventListener("change", () => this.choosePreset(Number(this.windows.value)));
    this.rate.addEventListener("change", () => {
      const rate = Math.round(Number(this.rate.value));
      this.active.cine.rate = Math.min(60, Math.max(1, rate || 1));
      this._refresh(this.active);
    });
    listenToKeys(this.root.querySelector(".work"), this);
  }

  /** Open what the address names, or else the first of what there is, one for each viewport. */
  _openFirst() {
    const wanted = new URLSearchParams(location.search);
    const [instance, series] = [wanted.get("instance"), wanted.get("series")];
    const set = this.sets.find((each) => instance && each.dataset.instance === instance)
      ?? this.sets.find((each) => series && each.dataset.series === series) ?? this.sets[0];
    if (set) this.open(set, { instance, frame: Number(wanted.get("frame")) || 1 });
    this.active.root.querySelector(".screen").focus({ preventScroll: true });
  }

  get active() { return this._active; }

  activate(viewport) {
    if (this._active === viewport) return;
    this._active?.root.classList.remove("active");
    this._active = viewport;
    viewport.root.classList.add("active");
    this._showPresets();
    this._refresh(viewport);
  }

  choose(tool) {
    this.tool = tool;
    for (const button of this.root.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    }
    this.grid.dataset.tool = tool;
  }

  press(name) { this.root.querySelector(`[data-do="${name}"]`).click(); }

  do(name) {
    const { active } = this;
    const actions = {
      invert: () => active.invert(),
      left: () => active.turn(-90),
      right: () => active.turn(90),
      mirror: () => active.flip(true),
      flip: () => active.flip(false),
      fit: () => active.fit(),
      actual: () => active.showActualSize(),
      reset: () => { active.reset(); this._showPresets(); },
      cine: () => active.cine.toggle(),
      delete: () => this._delete(),
      save: () => this._save(),
      link: () => this._link(),
      attributes: () => this._openAttributes(),
      layout: () => this.lay(this._layout === 4 ? 1 : this._layout * 2),
      texts: () => this._toggleTexts(),
      full: () => (document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen()),
      list: () => this.root.classList.toggle("without-list"),
      help: () => this.root.querySelector("dialog").showModal(),
    };
    actions[name]();
  }

  _toggleTexts() {
    const isHidden = this.root.classList.toggle("without-texts");
    for (const viewport of this.viewports) {
      viewport.hidesTexts = isHidden;
      viewport.draw();
    }
  }

  _link() {
    this.isLinked = !this.isLinked;
    this._refresh(this.active);
    this._follow(this.active.frame);
  }

  /** Scroll the other viewports to the slices that are nearest to one. */
  _follow(frame) {
    if (!this.isLinked || !frame || this._followed === frame) return;
    this._followed = frame;
    for (const viewport of this.viewports) {
      if (viewport === this.active || viewport.root.hidden) continue;
      const index = nearestTo(frame, viewport.frames);
      if (index >= 0 && index !== viewport.index) viewport.show(index);
    }
  }

  /** Do what dragging with the chosen tool does, by so many pixels. */
  nudge(right, down) {
    DRAGS[this.tool]?.(this.active, { right, down }, { start: null });
  }

  _openAttributes() {
    const { set, frame } = this.active;
    const instance = frame?.uid ?? set?.dataset.instance;
    if (!instance) return;
    const path = `/series/${encodeURIComponent(set.dataset.series)}/instances/${encodeURIComponent(instance)}`;
    window.open(this.root.dataset.pages + path, "_blank", "noopener");
  }

  /** Show in the other viewports where the image of this one cuts theirs. */
  _drawCuts(frame) {
    for (const viewport of this.viewports) {
      const reference = viewport === this._active || this._layout === 1 ? null : frame;
      if (viewport.reference === reference) continue;
      viewport.reference = reference;
      viewport.draw();
    }
  }

  cancel() {
    if (this.active.tools.cancel()) return;
    this.measurements.selected = null;
    this.active.draw();
  }

  _delete() {
    const { active, measurements } = this;
    const chosen = measurements.selected ?? measurements.of(active.frame ?? {}).at(-1);
    if (!chosen) return;
    active.tools.cancel();
    measurements.remove(active.frame, chosen);
    active.draw();
  }

  async _save() {
    const { active } = this;
    if (!active.picture) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await active.save());
    link.download = `${active.frame.uid}-${active.frame.number}.png`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  /** Show so many viewports: 1, 2 or 4. Those that become empty keep what they have. */
  lay(count) {
    this._layout = count;
    this.grid.dataset.count = count;
    this.viewports.forEach((viewport, index) => {
      viewport.root.hidden = index >= count;
      if (index >= count) viewport.cine.stop();
      else if (!viewport.set && this.viewports[0].set) {
        const next = this.sets[(this.sets.indexOf(this.viewports[0].set) + index) % this.sets.length];
        if (next && index) this.open(next, {}, viewport);
      }
    });
    if (this.active?.root.hidden) this.activate(this.viewports[0]);
  }

  /** Show one viewport alone, or as many as before. */
  toggleSingle(viewport) {
    if (this._layout === 1 || KEEPS_CLICKS.has(this.tool)) return;
    const isAlone = this.grid.classList.toggle("alone");
    for (const each of this.viewports.slice(0, this._layout)) each.root.hidden = isAlone && each !== viewport;
  }

  openNeighbour(step) {
    const set = this.sets[this.sets.indexOf(this.active.set) + step];
    if (set) this.open(set);
  }

  /** Open what a button of the list stands for. */
  async open(set, { instance = null, frame = 1 } = {}, viewport = this.active) {
    viewport.cine.stop();
    viewport.clear();
    viewport.set = set;
    this._markSets();
    viewport.root.querySelector(".document").replaceChildren();
    viewport.root.dataset.kind = set.dataset.kind;
    if (set.dataset.kind !== "images") {
      await showDocument(viewport, set, this.study);
      this._showPresets();
      return;
    }
    viewport.say(t("Loading …"));
    let frames;
    try {
      frames = await this._framesOf(set);
    } catch (error) {
      if (viewport.set === set) viewport.say(explain(t("This series cannot be shown."), error));
      return;
    }
    if (viewport.set !== set) return; // another was chosen meanwhile
    const at = frames.findIndex((each) => each.uid === instance && each.number === frame);
    viewport.open(set, frames, Math.max(0, at));
    viewport.cine.follow(frames);
    this._showPresets();
    this._refresh(viewport);
  }

  async _framesOf(set) {
    const { series, instance } = set.dataset;
    const url = `${this.study}/series/${encodeURIComponent(series)}`;
    const one = instance ? `/instances/${encodeURIComponent(instance)}` : "";
    if (!this.metadata.has(url + one)) {
      this.metadata.set(url + one, ask(`${url}${one}/metadata`, "application/dicom+json").then((answer) => answer.json()));
    }
    let found;
    try { found = await this.metadata.get(url + one); } catch (error) {
      this.metadata.delete(url + one); // so that it is asked for once more
      throw error;
    }
    // Of a series, instances of several frames are stacks of their own.
    const isWanted = (each) => values(each, "Rows").length && (instance || !(values(each, "NumberOfFrames")[0] > 1));
    return framesOf(found.filter(isWanted), url);
  }

  _markSets() {
    const shown = new Set(this.viewports.filter((each) => !each.root.hidden).map((each) => each.set));
    for (const set of this.sets) {
      if (set === this.active.set) set.setAttribute("aria-current", "true");
      else set.removeAttribute("aria-current");
      set.classList.toggle("shown", shown.has(set));
    }
    this.active.set?.scrollIntoView({ block: "nearest" });
  }

  // Windows to choose from: that of the dataset, all values, and those that are usual.

  _showPresets() {
    const { frame, picture } = this.active;
    const presets = frame && !frame.isColour ? frame.presets : [];
    const options = presets.map(({ name, centre, width }) => `${name || t("Window")} (${centre} / ${width})`);
    this.presets = presets;
    const all = frame && !frame.isColour ? [t("As stored"), ...options, t("All values")] : [];
    this.windows.replaceChildren(...all.map((label, index) => new Option(label, index)));
    if (all.length) this.windows.append(new Option(t("By hand"), -1, false, false));
    this.windows.disabled = !all.length || !picture && !frame;
  }

  /** Choose a window: 0 is that of each image, the last is that over all values. */
  choosePreset(index) {
    const { active, presets } = this;
    if (!active.picture?.valueAt || index < 0) return;
    if (index > presets.length + 1) return;
    if (index === 0) active.setWindow(null);
    else active.setWindow(presets[index - 1] ?? active.picture.spanningWindow);
  }

  _refresh(viewport) {
    if (viewport !== this._active || !this.presets) return;
    const { cine, window, frames, place } = viewport;
    this._drawCuts(viewport.frame ?? null);
    this._follow(viewport.frame);
    const press = (name, isOn) => this.root.querySelector(`[data-do="${name}"]`).setAttribute("aria-pressed", String(isOn));
    press("cine", cine.isPlaying);
    press("invert", viewport.isInverted);
    press("link", this.isLinked);
    press("mirror", place.isMirrored);
    press("flip", place.isFlipped);
    this.root.querySelector('[data-do="cine"]').disabled = frames.length < 2;
    this.rate.disabled = frames.length < 2;
    if (document.activeElement !== this.rate) this.rate.value = cine.rate;
    if (this.windows.options.length) {
      const at = this.presets.indexOf(window);
      const isAll = window?.shape === "LINEAR_EXACT" && window.width === viewport.picture?.spanningWindow.width;
      this.windows.value = window === null ? 0 : at >= 0 ? at + 1 : isAll ? this.presets.length + 1 : -1;
    }
  }
}

const KEEPS_CLICKS = new Set(["length", "angle", "ellipse", "rectangle"]);

new Viewer(document.getElementById("viewer"));
