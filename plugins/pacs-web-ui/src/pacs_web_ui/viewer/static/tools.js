// Tools: what the pointer does in a viewport.
//
// The left button, or a finger, does what the chosen tool does; the right one zooms and the one in
// the middle pans, as in other viewers. The wheel scrolls, with Ctrl it zooms. Two fingers zoom and
// pan. Where a measurement is drawn, its points can be dragged whatever the tool.

import { KINDS } from "./measuring.js";

const PER_IMAGE = 8; // pixels to drag for each image of the stack
const WHEEL_STEP = 60; // of deltaY, for each image
const CLICK = 4; // pixels that a click may move

/** By name: what dragging by (right, down) does. */
export const DRAGS = {
  window: (viewport, { right, down }) => viewport.dragWindow(right, down),
  pan: (viewport, { right, down }) => viewport.pan(right, down),
  zoom: (viewport, { down }, drag) => viewport.zoomBy(1.01 ** -down, drag.start),
  scroll: (viewport, { down }, drag) => {
    drag.scrolled = (drag.scrolled ?? 0) + down;
    const steps = Math.trunc(drag.scrolled / PER_IMAGE);
    drag.scrolled -= steps * PER_IMAGE;
    if (steps) viewport.scroll(steps);
  },
};
const BUTTONS = { 1: "pan", 2: "zoom" };

export class PointerTools {
  constructor(viewport, viewer) {
    this.viewport = viewport;
    this.viewer = viewer; // has `tool`, `measurements`, and is told of `activate` and `refresh`
    this.pointers = new Map();
    this.drag = null;
    this.unfinished = null; // a measurement whose next point is to be clicked
    this.wheel = 0;
    const screen = viewport.root.querySelector(".screen");
    screen.addEventListener("pointerdown", (event) => this.press(event));
    screen.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) screen.addEventListener(end, (event) => this.release(event));
    screen.addEventListener("pointerleave", () => { viewport.pointed = null; viewport.draw(); });
    screen.addEventListener("wheel", (event) => this.roll(event), { passive: false });
    screen.addEventListener("contextmenu", (event) => event.preventDefault());
    screen.addEventListener("dblclick", () => viewer.toggleSingle(viewport));
    this.screen = screen;
  }

  press(event) {
    const { viewport, viewer } = this;
    viewer.activate(viewport);
    if (!viewport.picture) return;
    this.screen.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    const at = viewport.toImage(event);
    if (this.pointers.size === 2) {
      this.cancel();
      this.drag = { pinch: this.spread() };
    } else if (this.unfinished) {
      this.unfinished.isHeld = true;
    } else if (event.button === 0 && this.grab(event)) {
      viewport.draw();
    } else if (event.button === 0 && KINDS[viewer.tool]) {
      const measurement = { kind: viewer.tool, points: [at, { ...at }] };
      viewer.measurements.add(viewport.frame, measurement);
      this.unfinished = { measurement, frame: viewport.frame, index: 1, isHeld: true, start: event };
      viewport.draw();
    } else {
      viewer.measurements.selected = null;
      this.drag = { action: DRAGS[event.button === 0 ? viewer.tool : BUTTONS[event.button]], start: event, last: event };
      viewport.draw();
    }
  }

  /** Take hold of a measurement that is under the pointer: of a point, or of all of it. */
  grab(event) {
    const group = event.target.closest?.(".measure");
    if (!group) return false;
    const { measurement } = group;
    this.viewer.measurements.selected = measurement;
    this.drag = { measurement, index: event.target.index ?? null, last: event };
    return true;
  }

  move(event) {
    const { viewport, drag } = this;
    if (!viewport.picture) return;
    const at = viewport.toImage(event);
    viewport.pointed = at;
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, event);
    if (this.unfinished) {
      this.unfinished.measurement.points[this.unfinished.index] = at;
    } else if (drag?.pinch) {
      this.pinch();
    } else if (drag?.measurement) {
      this.dragMeasurement(at, event);
    } else if (drag?.action) {
      const moved = { right: event.clientX - drag.last.clientX, down: event.clientY - drag.last.clientY };
      drag.last = event;
      drag.action(viewport, moved, drag);
    }
    viewport.draw();
  }

  dragMeasurement(at, event) {
    const { drag, viewport } = this;
    const { points } = drag.measurement;
    const before = viewport.toImage(drag.last);
    drag.last = event;
    for (const index of points.keys()) {
      if (drag.index === null) points[index] = { x: points[index].x + at.x - before.x, y: points[index].y + at.y - before.y };
      else if (drag.index === index) points[index] = at;
    }
  }

  /** A point is set where the button is let go; a click alone lets the next point follow. */
  release(event) {
    this.pointers.delete(event.pointerId);
    const { unfinished, viewport } = this;
    this.drag = null;
    if (!unfinished?.isHeld) return;
    unfinished.isHeld = false;
    const isClick = unfinished.start
      && Math.hypot(event.clientX - unfinished.start.clientX, event.clientY - unfinished.start.clientY) < CLICK;
    unfinished.start = null;
    if (isClick) return;
    const { measurement } = unfinished;
    if (measurement.points.length < KINDS[measurement.kind].points) {
      measurement.points.push({ ...measurement.points.at(-1) });
      unfinished.index += 1;
    } else {
      this.unfinished = null;
    }
    viewport.draw();
  }

  /** Give up what is being drawn; tell whether there was anything. */
  cancel() {
    const { unfinished } = this;
    this.unfinished = this.drag = null;
    if (!unfinished) return false;
    this.viewer.measurements.remove(unfinished.frame, unfinished.measurement);
    this.viewport.draw();
    return true;
  }

  spread() {
    const [a, b] = this.pointers.values();
    return {
      distance: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1,
      clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2,
    };
  }

  pinch() {
    if (this.pointers.size < 2) return;
    const before = this.drag.pinch, now = this.spread();
    this.drag.pinch = now;
    this.viewport.pan(now.clientX - before.clientX, now.clientY - before.clientY);
    this.viewport.zoomBy(now.distance / before.distance, now);
  }

  roll(event) {
    event.preventDefault();
    this.viewer.activate(this.viewport);
    if (event.ctrlKey) {
      this.viewport.zoomBy(1.0015 ** -event.deltaY, event);
      return;
    }
    // Wheels that click give 100 or 120 for each step, touch pads a few at a time.
    const delta = event.deltaMode ? event.deltaY * 40 : event.deltaY;
    this.wheel += delta;
    const steps = Math.abs(delta) >= WHEEL_STEP ? Math.sign(delta) : Math.trunc(this.wheel / WHEEL_STEP);
    if (!steps) return;
    this.wheel = 0;
    this.viewport.scroll(steps);
  }
}
