// Sizes and directions: how large a pixel is, and which way is up.

import { items, number, text, texts } from "./dicom.js";

const CENTIMETRES = 3; // PS3.3 C.8.5.5.1.15
// Modalities that project: without calibration, sizes are those at the detector (PS3.3 10.7.1.3).
const PROJECTION = new Set(["CR", "DX", "MG", "PX", "IO", "RF", "RG", "XA"]);

const MOST_UNEQUAL = 50; // times that a pixel may be longer than wide; more cannot be meant

const ASPECTS = ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"];

const pair = (frame, keyword) => {
  const found = frame.numbers(keyword, 2);
  return found && found[0] > 0 && found[1] > 0 ? found : null;
};

/**
 * Return the size of a pixel of a frame: {x, y, unit, isAtDetector}, in millimetres where they are
 * known. `points` are what is measured: in an ultrasound image each region has its own scale.
 */
export function spacingOf(frame, points = []) {
  const region = regionOf(frame, points);
  if (region) return region;
  const spacing = pair(frame, "PixelSpacing"), imager = pair(frame, "ImagerPixelSpacing");
  const modality = text(frame.instance, "Modality");
  if (spacing) {
    const isSame = imager !== null && imager[0] === spacing[0] && imager[1] === spacing[1];
    return { y: spacing[0], x: spacing[1], unit: "mm", isAtDetector: PROJECTION.has(modality) && isSame };
  }
  if (imager) {
    const factor = number(frame.instance, "EstimatedRadiographicMagnificationFactor", 1);
    const size = factor > 0 ? factor : 1;
    return { y: imager[0] / size, x: imager[1] / size, unit: "mm", isAtDetector: size === 1 };
  }
  const scanned = pair(frame, "NominalScannedPixelSpacing");
  if (scanned) return { y: scanned[0], x: scanned[1], unit: "mm", isAtDetector: false };
  const [y, x] = pair(frame, "PixelAspectRatio") ?? [1, 1];
  return { x: 1, y: y / x, unit: "px", isAtDetector: false };
}

function regionOf(frame, points) {
  for (const item of items(frame.instance, "SequenceOfUltrasoundRegions")) {
    const units = [number(item, "PhysicalUnitsXDirection"), number(item, "PhysicalUnitsYDirection")];
    const [x, y] = [number(item, "PhysicalDeltaX"), number(item, "PhysicalDeltaY")].map(Math.abs);
    if (units.some((unit) => unit !== CENTIMETRES) || !(x > 0 && y > 0)) continue;
    const left = number(item, "RegionLocationMinX0"), right = number(item, "RegionLocationMaxX1");
    const top = number(item, "RegionLocationMinY0"), bottom = number(item, "RegionLocationMaxY1");
    const isWithin = (at) => at.x >= left && at.x <= right + 1 && at.y >= top && at.y <= bottom + 1;
    if (points.length && points.every(isWithin)) return { x: 10 * x, y: 10 * y, unit: "mm", isAtDetector: false };
  }
  return null;
}

/** How much wider and higher than a square a pixel is to be shown. */
export function aspectOf(frame) {
  // Pixel Aspect Ratio is for images without a spacing (PS3.3 Table C.7-11c).
  const [y, x] = ASPECTS.map((keyword) => pair(frame, keyword)).find((sizes) => sizes) ?? [1, 1];
  const smaller = Math.min(x, y);
  if (Math.max(x, y) > MOST_UNEQUAL * smaller) return { x: 1, y: 1 };
  return { x: x / smaller, y: y / smaller };
}

/** Letters of a direction in the patient: "A", "LP" (PS3.3 C.7.6.1.1.1). */
export function lettersOf(vector) {
  return [["R", "L"], ["A", "P"], ["F", "H"]]
    .map(([negative, positive], axis) => ({ size: Math.abs(vector[axis]), letter: vector[axis] < 0 ? negative : positive }))
    .filter(({ size }) => size > 0.2)
    .sort((a, b) => b.size - a.size)
    .map(({ letter }) => letter)
    .join("");
}

const OPPOSITE = { R: "L", L: "R", A: "P", P: "A", H: "F", F: "H" };

/** Letters at the right end of a row, and at the lower end of a column; null where unknown. */
export function directionsOf(frame) {
  const axes = frame.orientation;
  if (axes) return { right: lettersOf(axes.slice(0, 3)), down: lettersOf(axes.slice(3)) };
  const [right, down] = texts(frame.instance, "PatientOrientation");
  const isKnown = (letters) => /^[RLAPHF]{1,3}$/.test(letters ?? "");
  return isKnown(right) && isKnown(down) ? { right, down } : null;
}

export const opposite = (letters) => Array.from(letters, (each) => OPPOSITE[each]).join("");
