// A viewport: a frame of a stack, as window, zoom and pan have it, and what is written around it.
//
// The frame is painted, in the pixels that it has, into a canvas that is not shown. That is drawn
// into the one that is, through one affine transformation. Its offset is rounded, so that at 1:1
// each pixel of the image is one of the screen.

import { writeCorners } from "./corners.js";
import { aspectOf } from "./geometry.js";
import { drawLine, drawMeasurements } from "./measuring.js";
import { lineOf } from "./planes.js";
import { explain, t } from "./texts.js";

const NOWHERE = { zoom: 0, x: 0, y: 0, turn: 0, isFlipped: false, isMirrored: false }; // a zoom of 0 fits
const AHEAD = 400; // frames that are fetched before they are looked at

export class Viewport {
  constructor(root, loader, measurements, onchange) {
    this.root = root;
    this.loader = loader;
    this.measurements = measurements;
    this.onchange = onchange;
    this.canvas = root.querySelector("canvas");
    this.svg = root.querySelector("svg");
    this.slider = root.querySelector(".scroller");
    this.message = root.querySelector(".message");
    this._context = this.canvas.getContext("2d", { alpha: false });
    this._painted = new OffscreenCanvas(1, 1);
    this.reference = null; // a frame of another viewport, whose plane is drawn
    this.hidesTexts = false;
    this._asked = 0;
    this._isWaiting = false;
    this.clear();
    new ResizeObserver(() => this._resize()).observe(root.querySelector(".screen"));
    this.slider.addEventListener("input", () => this.show(Number(this.slider.value)));
  }

  clear() {
    this.set = null;
    this.frames = [];
    this.index = 0; // of the frame that was asked for
    this.shown = 0; // of the one that is there: texts and measurements are of what is seen
    this.picture = null;
    this.window = null; // null: that of each frame
    this.isInverted = false;
    this.place = { ...NOWHERE };
    this._asked += 1; // what is on its way is not wanted any more
    this.pointed = null;
    this.slider.hidden = true;
    this.root.classList.remove("loading");
    this.say("");
    this.draw();
  }

  get frame() { return this.frames[this.shown]; }

  /** Show a stack from a frame on. */
  open(set, frames, index = 0) {
    this.clear();
    this.set = set;
    this.frames = frames;
    this.slider.max = Math.max(0, frames.length - 1);
    this.slider.hidden = frames.length < 2;
    this.shown = index;
    if (frames.length) this.show(index);
    else this.say(t("There is no image in this series."));
  }

  /** Show a frame; resolves once it is there, or another was asked for. */
  async show(index) {
    if (!this.frames.length) return;
    this.index = Math.min(this.frames.length - 1, Math.max(0, index));
    this.slider.value = this.index;
    this.slider.setAttribute("aria-valuetext", `${t("Image")} ${this.index + 1} / ${this.frames.length}`);
    const frame = this.frames[this.index];
    const asked = ++this._asked;
    const there = this.loader.get(frame);
    if (!there) this.root.classList.add("loading");
    try {
      const picture = there ?? await this.loader.load(frame);
      if (asked !== this._asked) return;
      this.picture = picture;
      this.say("");
    } catch (error) {
      if (asked !== this._asked) return;
      this.picture = null;
      this.say(explain(t("This image cannot be shown."), error));
    }
    this.shown = this.index;
    this.root.classList.remove("loading");
    this.paint();
    this.loader.prefetch(this, this._neighbours());
  }

  /** Frames around the one that is shown, the nearest first, and twice as many ahead as behind. */
  _neighbours() {
    const { frames, index } = this;
    const found = [];
    for (let step = 1; step <= Math.min(AHEAD, frames.length); step += 1) {
      found.push(frames[(index + step) % frames.length]);
      if (step % 2) found.push(frames[index - (step + 1) / 2]);
    }
    return found.filter(Boolean);
  }

  scroll(steps) { return this.show(this.index + steps); }

  say(message) {
    this.message.textContent = message;
    this.message.hidden = !message;
  }

  /** The window that is shown, or null where a VOI LUT is, or colours are. */
  get shownWindow() {
    if (!this.picture?.valueAt) return null;
    return this.window ?? (this.picture.voi ? null : this.picture.defaultWindow);
  }

  setWindow(window) {
    this.window = window;
    this.paint();
  }

  /** Change the window with the mouse: by so many pixels to the right and down. */
  dragWindow(right, down) {
    if (!this.picture?.valueAt) return;
    const { low, high } = this.picture.range;
    // A power of two, so that whole numbers stay whole.
    const step = 2 ** Math.max(-24, Math.round(Math.log2(Math.max(high - low, 1e-9) / 1024)));
    const { centre, width, shape } = this.shownWindow ?? this.picture.spanningWindow;
    const least = shape === "LINEAR" ? 1 : step;
    this.setWindow({ name: "", centre: centre + down * step, width: Math.max(least, width + right * step), shape });
  }

  paint() {
    const { picture } = this;
    if (picture) {
      this._painted.width = picture.columns;
      this._painted.height = picture.rows;
      const context = this._painted.getContext("2d");
      if (picture.bitmap) {
        context.drawImage(picture.bitmap, 0, 0);
        if (this.isInverted) {
          context.globalCompositeOperation = "difference"; // from white
          context.fillStyle = "#fff";
          context.fillRect(0, 0, picture.columns, picture.rows);
        }
      } else {
        const data = context.createImageData(picture.columns, picture.rows);
        const isInverted = picture.frame.isInverted !== this.isInverted;
        picture.paint(new Uint32Array(data.data.buffer), this.window, isInverted);
        context.putImageData(data, 0, 0);
      }
    }
    this.draw();
  }

  _resize() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    this.canvas.width = Math.max(1, Math.floor(clientWidth * devicePixelRatio));
    this.canvas.height = Math.max(1, Math.floor(clientHeight * devicePixelRatio));
    this.canvas.style.width = `${this.canvas.width / devicePixelRatio}px`;
    this.canvas.style.height = `${this.canvas.height / devicePixelRatio}px`;
    this._draw();
  }

  get isSideways() { return this.place.turn % 180 !== 0; }

  /** Pixels of the screen for the smaller side of one of the image. */
  get zoom() {
    if (this.place.zoom) return this.place.zoom;
    const { picture } = this;
    if (!picture) return 1;
    const aspect = aspectOf(picture.frame);
    const size = [picture.columns * aspect.x, picture.rows * aspect.y];
    if (this.isSideways) size.reverse();
    return Math.min(this.canvas.width / size[0], this.canvas.height / size[1]);
  }

  /** From pixels of the image to pixels of the canvas. */
  get matrix() {
    const { canvas, picture, place, zoom } = this;
    const aspect = aspectOf(picture.frame);
    const matrix = new DOMMatrix()
      .translateSelf(canvas.width / 2 + place.x, canvas.height / 2 + place.y)
      .rotateSelf(place.turn)
      .scaleSelf(zoom * aspect.x * (place.isMirrored ? -1 : 1), zoom * aspect.y * (place.isFlipped ? -1 : 1))
      .translateSelf(-picture.columns / 2, -picture.rows / 2);
    matrix.e = Math.round(matrix.e);
    matrix.f = Math.round(matrix.f);
    return matrix;
  }

  /** From a pointer's position to pixels of the image. */
  toImage({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    const at = new DOMPoint((clientX - box.left) * devicePixelRatio, (clientY - box.top) * devicePixelRatio);
    const { x, y } = this.matrix.inverse().transformPoint(at);
    return { x, y };
  }

  /** From pixels of the image to those of the page, within the viewport. */
  toScreen(at) {
    const { x, y } = this.matrix.transformPoint(new DOMPoint(at.x, at.y));
    return { x: x / devicePixelRatio, y: y / devicePixelRatio };
  }

  pan(right, down) {
    this.place.x += right * devicePixelRatio;
    this.place.y += down * devicePixelRatio;
    this.draw();
  }

  /** Zoom around a place of the canvas, else around its middle. */
  zoomBy(factor, at = null) {
    if (!this.picture) return;
    const before = this.zoom;
    const after = Math.min(64, Math.max(0.02, before * factor));
    const { place, canvas } = this;
    const box = canvas.getBoundingClientRect();
    const x = at ? (at.clientX - box.left) * devicePixelRatio - canvas.width / 2 : 0;
    const y = at ? (at.clientY - box.top) * devicePixelRatio - canvas.height / 2 : 0;
    place.x = x + (place.x - x) * after / before;
    place.y = y + (place.y - y) * after / before;
    place.zoom = after;
    this.draw();
  }

  /** One pixel of the image for one of the screen. */
  showActualSize() {
    Object.assign(this.place, { zoom: 1, x: 0, y: 0 });
    this.draw();
  }

  fit() {
    Object.assign(this.place, { zoom: 0, x: 0, y: 0 });
    this.draw();
  }

  turn(degrees) {
    this.place.turn = (this.place.turn + degrees + 360) % 360;
    this.draw();
  }

  /** Flip what is seen, however the image is turned. */
  flip(isHorizontal) {
    const { place } = this;
    if (isHorizontal !== this.isSideways) place.isMirrored = !place.isMirrored;
    else place.isFlipped = !place.isFlipped;
    this.draw();
  }

  invert() {
    this.isInverted = !this.isInverted;
    this.paint();
  }

  reset() {
    this.place = { ...NOWHERE };
    this.window = null;
    this.isInverted = false;
    this.paint();
  }

  /** Draw with the next picture of the screen, once, however often it was asked for. */
  draw() {
    if (this._isWaiting) return;
    this._isWaiting = true;
    requestAnimationFrame(() => {
      this._isWaiting = false;
      this._draw();
    });
  }

  _draw() {
    const context = this._context;
    context.resetTransform();
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.svg.replaceChildren();
    if (this.picture) {
      context.imageSmoothingQuality = "high";
      context.setTransform(this.matrix);
      context.drawImage(this._painted, 0, 0);
      const { measurements, frame, picture } = this;
      for (const { canvas, x, y } of this.hidesTexts ? [] : picture.overlays) context.drawImage(canvas, x, y);
      const project = (at) => this.toScreen(at);
      drawMeasurements(this.svg, frame, picture, measurements.of(frame), measurements.selected, project);
      const line = this.hidesTexts ? null : lineOf(this.reference, frame);
      if (line) drawLine(this.svg, line.map(project));
    }
    writeCorners(this);
    this.onchange(this);
  }

  /** The canvas with its measurements, as a PNG file. */
  async save() {
    const { canvas, svg } = this;
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext("2d");
    context.drawImage(canvas, 0, 0);
    context.scale(devicePixelRatio, devicePixelRatio);
    context.strokeStyle = context.fillStyle = "#ffd84d";
    context.lineWidth = 1.5;
    context.font = "14px system-ui, sans-serif";
    for (const line of svg.querySelectorAll(".line")) {
      context.beginPath();
      for (const { x, y } of line.points) context.lineTo(x, y);
      if (line.tagName === "polygon") context.closePath();
      context.stroke();
    }
    for (const span of svg.querySelectorAll("tspan")) {
      const [at] = [span.getStartPositionOfChar(0)];
      context.fillText(span.textContent, at.x, at.y);
    }
    return copy.convertToBlob({ type: "image/png" });
  }
}
