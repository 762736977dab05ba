// Measurements: what they are called, how they are drawn, and what they say.

import { spacingOf } from "./geometry.js";
import { t } from "./texts.js";

const distance = (a, b, { x, y }) => Math.hypot((a.x - b.x) * x, (a.y - b.y) * y);

const round = (value, digits = 1) => value.toLocaleString(document.documentElement.lang, {
  minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false,
});

/** A value of pixels; small ones, as of floats, are all in what follows the point. */
const amount = (value, digits = 1) =>
  Math.abs(value) >= 10 || Number.isInteger(value)
    ? round(value, digits)
    : value.toLocaleString(document.documentElement.lang, { maximumSignificantDigits: 3 });

const sized = (value, unit) => `${round(value)} ${unit}`;

function length({ points: [a, b] }, frame) {
  const spacing = spacingOf(frame, [a, b]);
  const note = spacing.isAtDetector ? ` (${t("at the detector")})` : "";
  return [sized(distance(a, b, spacing), spacing.unit) + note];
}

/** The angle at the second point, of what it would be in the patient: pixels need not be square. */
function angle({ points: [a, b, c] }, frame) {
  if (!c) return [];
  const { x, y } = spacingOf(frame, [a, b, c]);
  const direction = (to) => Math.atan2((to.y - b.y) * y, (to.x - b.x) * x);
  const turn = Math.abs(direction(a) - direction(c)) * 180 / Math.PI;
  return [`${round(Math.min(turn, 360 - turn))}°`];
}

/** What the pixels are whose centre is within. */
export function statistics(picture, contains, [left, top, right, bottom]) {
  let count = 0, sum = 0, squares = 0, low = Infinity, high = -Infinity;
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(picture.rows, Math.ceil(bottom)); y += 1) {
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(picture.columns, Math.ceil(right)); x += 1) {
      if (!contains(x + 0.5, y + 0.5)) continue;
      const value = picture.valueAt(x, y);
      count += 1;
      sum += value;
      squares += value * value;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  const mean = sum / count;
  return { count, mean, deviation: Math.sqrt(Math.max(0, squares / count - mean * mean)), low, high };
}

function area(isEllipse) {
  return ({ points: [a, b] }, frame, picture) => {
    const { x, y, unit } = spacingOf(frame, [a, b]);
    const box = [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
    const width = box[2] - box[0], height = box[3] - box[1];
    const size = width * x * height * y * (isEllipse ? Math.PI / 4 : 1);
    const lines = [`${t("Area")} ${sized(size, `${unit}²`)}`];
    if (!picture?.valueAt) return lines;
    const isWithin = (px, py) => !isEllipse
      || ((px - box[0]) / width - 0.5) ** 2 + ((py - box[1]) / height - 0.5) ** 2 <= 0.25;
    const found = statistics(picture, isWithin, box);
    if (!found.count) return lines;
    const units = frame.unit && ` ${frame.unit}`;
    return [
      `${t("Mean")} ${amount(found.mean)}${units}, ${t("SD")} ${amount(found.deviation)}`,
      `${t("Min")} ${amount(found.low, 0)}, ${t("Max")} ${amount(found.high, 0)}`,
      ...lines,
    ];
  };
}

/** By kind: how many points, what it says, and which SVG element it is. */
export const KINDS = {
  length: { points: 2, say: length, shape: "polyline" },
  angle: { points: 3, say: angle, shape: "polyline" },
  ellipse: { points: 2, say: area(true), shape: "ellipse" },
  rectangle: { points: 2, say: area(false), shape: "rect" },
};

/** Measurements of all frames; they last as long as the page. */
export class Measurements {
  constructor() {
    this._byFrame = new Map();
    this.selected = null;
  }

  of(frame) { return this._byFrame.get(frame.key) ?? []; }

  add(frame, measurement) {
    this._byFrame.set(frame.key, [...this.of(frame), measurement]);
    this.selected = measurement;
  }

  remove(frame, measurement) {
    this._byFrame.set(frame.key, this.of(frame).filter((each) => each !== measurement));
    if (this.selected === measurement) this.selected = null;
  }
}

/** What a measurement says is worked out once, as long as its points stay where they are. */
function remember(measurement, picture, say) {
  const key = JSON.stringify(measurement.points);
  if (measurement.said?.key !== key || measurement.said.picture !== picture) {
    measurement.said = { key, picture, lines: say() };
  }
  return measurement.said.lines;
}

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

/** Draw measurements into an SVG element; `project` leads from pixels of the image to those of the screen. */
export function drawMeasurements(svg, frame, picture, list, selected, project) {
  svg.replaceChildren();
  for (const measurement of list) {
    const { shape, say } = KINDS[measurement.kind];
    const group = element("g", { class: measurement === selected ? "measure selected" : "measure" }, svg);
    group.measurement = measurement;
    const corners = measurement.points.map(project);
    // Twice: a dark line below a bright one is seen on any ground; a wide one is easy to hit.
    for (const kind of ["hit", "under", "line"]) drawShape(group, shape, measurement.points, project, kind);
    corners.forEach(({ x, y }, index) => {
      element("circle", { class: "handle", cx: x, cy: y, r: 4 }, group).index = index;
      element("circle", { class: "grip", cx: x, cy: y, r: 12 }, group).index = index;
    });
    const lowest = corners.reduce((low, at) => (at.y > low.y ? at : low));
    const lines = remember(measurement, picture, () => say(measurement, frame, picture));
    const text = element("text", { x: lowest.x + 10, y: lowest.y + 18 }, group);
    lines.forEach((line, index) => {
      element("tspan", { x: lowest.x + 10, dy: index ? 16 : 0 }, text).textContent = line;
    });
  }
}

/** Draw where another slice cuts the image. */
export function drawLine(svg, [a, b]) {
  element("line", { class: "cut", x1: a.x, y1: a.y, x2: b.x, y2: b.y }, svg);
}

function drawShape(group, shape, points, project, kind) {
  const [a, b] = points;
  if (shape === "polyline") {
    const line = points.map(project).map(({ x, y }) => `${x},${y}`).join(" ");
    element("polyline", { class: kind, points: line }, group);
    return;
  }
  // A rotated image has rotated shapes: they are drawn as outlines of projected points.
  const centre = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  const half = { x: (b.x - a.x) / 2, y: (b.y - a.y) / 2 };
  const turns = shape === "rect" ? [1, 3, 5, 7].map((each) => each * Math.PI / 4)
    : Array.from({ length: 64 }, (_, index) => index * Math.PI / 32);
  const stretch = shape === "rect" ? Math.SQRT2 : 1;
  const outline = turns.map((turn) => project({
    x: centre.x + half.x * stretch * Math.cos(turn), y: centre.y + half.y * stretch * Math.sin(turn),
  }));
  element("polygon", { class: kind, points: outline.map(({ x, y }) => `${x},${y}`).join(" ") }, group);
}
