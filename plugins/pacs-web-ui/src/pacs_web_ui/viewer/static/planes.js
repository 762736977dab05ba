// Planes of slices in the patient: where one cuts another, and which are nearest.

import { dot, normalOf } from "./frames.js";
import { text } from "./dicom.js";
import { spacingOf } from "./geometry.js";

const PARALLEL = 0.98; // cosine of the angle from which on slices are parallel

const add = (a, b, factor) => a.map((each, axis) => each + factor * b[axis]);
const subtract = (a, b) => a.map((each, axis) => each - b[axis]);

/** Where a pixel is in the patient (PS3.3 C.7.6.2.1.1). */
function placeOf(frame, x, y) {
  const spacing = spacingOf(frame);
  const right = add(frame.position, frame.orientation.slice(0, 3), x * spacing.x);
  return add(right, frame.orientation.slice(3), y * spacing.y);
}

/** Which pixel is at a place of the plane. */
function pixelAt(frame, place) {
  const spacing = spacingOf(frame), from = subtract(place, frame.position);
  return {
    x: dot(from, frame.orientation.slice(0, 3)) / spacing.x + 0.5,
    y: dot(from, frame.orientation.slice(3)) / spacing.y + 0.5,
  };
}

function isOfOneBody(a, b) {
  if (!a?.position || !a.orientation || !b?.position || !b.orientation) return false;
  const reference = text(a.instance, "FrameOfReferenceUID");
  return reference !== "" && reference === text(b.instance, "FrameOfReferenceUID");
}

/** Return the index of the frame whose slice is nearest to that of another stack, or -1 if none is parallel. */
export function nearestTo(other, frames) {
  let best = -1, least = Infinity;
  frames.forEach((frame, index) => {
    if (!isOfOneBody(other, frame)) return;
    const normal = normalOf(frame.orientation);
    if (Math.abs(dot(normal, normalOf(other.orientation))) <= PARALLEL) return;
    const distance = Math.abs(dot(normal, subtract(other.position, frame.position)));
    if (distance < least) [best, least] = [index, distance];
  });
  return best;
}

/** Return the two pixels of a frame between which another one cuts it, or null. */
export function lineOf(other, frame) {
  if (!isOfOneBody(other, frame)) return null;
  const normal = normalOf(frame.orientation);
  if (Math.abs(dot(normal, normalOf(other.orientation))) > PARALLEL) return null;
  const { columns, rows } = other;
  const corners = [[0, 0], [columns, 0], [columns, rows], [0, rows]]
    .map(([x, y]) => placeOf(other, x - 0.5, y - 0.5))
    .map((place) => ({ place, height: dot(normal, subtract(place, frame.position)) }));
  const cuts = corners.flatMap((from, index) => {
    const to = corners[(index + 1) % 4];
    if (from.height * to.height > 0 || from.height === to.height) return [];
    const part = from.height / (from.height - to.height);
    return [pixelAt(frame, add(from.place, subtract(to.place, from.place), part))];
  });
  return cuts.length >= 2 ? cuts.slice(0, 2) : null;
}
