// Frames of a stack: what the metadata of its instances say of each, and their order.

import { has, holderOf, items, number, numbers, text, texts } from "./dicom.js";
import { t } from "./texts.js";

const COLOURS = new Set(["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT",
  "YBR_PARTIAL_420", "YBR_PARTIAL_422", "PALETTE COLOR"]);
const CT_WINDOWS = [ // name, centre and width, in Hounsfield units
  [t("Soft tissue"), 40, 400], [t("Lung"), -600, 1500], [t("Bone"), 400, 1800],
  [t("Brain"), 40, 80], [t("Mediastinum"), 50, 350],
];
const MOST = 100_000; // frames of an instance, whatever it says
const FUNCTIONS = ["LINEAR", "LINEAR_EXACT", "SIGMOID"];

/** One frame of an instance. */
export class Frame {
  constructor(instance, number_, url) {
    this.instance = instance;
    this.number = number_; // from 1
    this.uid = text(instance, "SOPInstanceUID");
    this.url = `${url}/instances/${encodeURIComponent(this.uid)}/frames/${number_}`;
    this.key = `${this.uid}/${number_}`;
    this.rows = number(instance, "Rows", 0);
    this.columns = number(instance, "Columns", 0);
    this.photometric = text(instance, "PhotometricInterpretation");
    this.isColour = COLOURS.has(this.photometric) || number(instance, "SamplesPerPixel", 1) > 1;
    this.position = this.numbers("ImagePositionPatient", 3);
    this.orientation = this.numbers("ImageOrientationPatient", 6);
  }

  holder(keyword) { return holderOf(this.instance, this.number, keyword); }

  /** So many finite numbers, or null. */
  numbers(keyword, count) {
    const found = numbers(this.holder(keyword), keyword);
    return found.length >= count && found.every(Number.isFinite) ? found.slice(0, count) : null;
  }

  text(keyword) { return text(this.holder(keyword), keyword); }

  /** How floating point pixels begin their attributes (PS3.3 C.7.6.24, .25); empty for integers. */
  get floats() {
    return ["Float", "DoubleFloat"].find((kind) => has(this.instance, `${kind}PixelData`)) ?? "";
  }

  get format() {
    const allocated = number(this.instance, "BitsAllocated", 0);
    const stored = number(this.instance, "BitsStored", allocated);
    return {
      rows: this.rows, columns: this.columns, allocated, stored,
      high: number(this.instance, "HighBit", stored - 1),
      signed: number(this.instance, "PixelRepresentation", 0) === 1, floats: this.floats !== "",
    };
  }

  /** Slope and intercept of rescaling; a slope of 0 is taken as 1, as it cannot be meant. */
  get rescale() {
    const holder = this.holder("RescaleSlope");
    return {
      slope: number(holder, "RescaleSlope", 1) || 1,
      intercept: number(this.holder("RescaleIntercept"), "RescaleIntercept", 0),
    };
  }

  get unit() {
    const type = this.text("RescaleType");
    if (type && type !== "US") return type; // US: unspecified
    if (text(this.instance, "Modality") === "CT" && !this.isColour) return "HU";
    return text(this.instance, "Units"); // of PET and NM
  }

  /** Whether low values are white (PS3.3 C.11.6 goes before C.7.6.3.1.2). */
  get isInverted() {
    const shape = text(this.instance, "PresentationLUTShape");
    if (shape === "IDENTITY" || shape === "INVERSE") return shape === "INVERSE";
    return this.photometric === "MONOCHROME1";
  }

  /** The windows that the dataset has, those left out that the standard does not allow. */
  get windows() {
    const holder = this.holder("WindowCenter");
    const centres = numbers(holder, "WindowCenter"), widths = numbers(holder, "WindowWidth");
    const names = texts(holder, "WindowCenterWidthExplanation");
    const given = text(holder, "VOILUTFunction").toUpperCase();
    const shape = FUNCTIONS.includes(given) ? given : "LINEAR";
    return centres
      .map((centre, index) => ({ name: names[index] ?? "", centre, width: widths[index], shape }))
      .filter(({ centre, width }) => Number.isFinite(centre) && width > 0 && (shape !== "LINEAR" || width >= 1));
  }

  get presets() {
    const isCT = text(this.instance, "Modality") === "CT" && !this.isColour;
    const usual = CT_WINDOWS.map(([name, centre, width]) => ({ name, centre, width, shape: "LINEAR" }));
    return [...this.windows, ...(isCT ? usual : [])];
  }

  /** Values that mean "nothing was imaged here" (PS3.3 C.7.5.1.1.2), as [lowest, highest], or null. */
  get padding() {
    const value = number(this.instance, `${this.floats}PixelPaddingValue`);
    if (Number.isNaN(value)) return null;
    const limit = number(this.instance, `${this.floats}PixelPaddingRangeLimit`, value);
    const { stored, signed, floats } = this.format;
    const wrap = (v) => (signed && !floats && v >= 2 ** (stored - 1) ? v - 2 ** stored : v);
    return [wrap(value), wrap(limit)].sort((a, b) => a - b);
  }

  /** Frames in a second, or 0 if the dataset does not say it (PS3.3 C.7.6.5). */
  get rate() {
    const vector = numbers(this.instance, "FrameTimeVector").filter((time) => time > 0);
    const mean = vector.reduce((sum, time) => sum + time, 0) / vector.length;
    const time = number(this.instance, "FrameTime", mean);
    const said = number(this.instance, "RecommendedDisplayFrameRate", number(this.instance, "CineRate", 0));
    return said > 0 ? said : time > 0 ? 1000 / time : 0;
  }

  /** The item with the VOI LUT, or null. */
  get table() { return items(this.instance, "VOILUTSequence")[0] ?? null; }
}

/** Return the frames of instances in their order. */
export function framesOf(instances, url) {
  const frames = instances.flatMap((instance) => {
    const count = Math.min(MOST, Math.max(1, number(instance, "NumberOfFrames", 1)));
    return Array.from({ length: count }, (_, index) => new Frame(instance, index + 1, url));
  });
  return order(frames);
}

/**
 * By their place along the normal of the slices, where that tells all of them apart, in the
 * direction in which they are numbered on the whole; else by number.
 */
function order(frames) {
  const numbered = (frame) => number(frame.instance, "InstanceNumber", Infinity);
  // The difference of two that have none is NaN, which counts as 0.
  const byNumber = (a, b) => numbered(a) - numbered(b) || a.number - b.number || (a.uid < b.uid ? -1 : 1);
  frames.sort(byNumber);
  const places = placesOf(frames);
  if (!places) return frames;
  const middle = (frames.length - 1) / 2;
  const trend = frames.reduce((sum, frame, index) => sum + (index - middle) * places.get(frame), 0);
  return frames.sort((a, b) => (places.get(a) - places.get(b)) * (trend < 0 ? -1 : 1));
}

function placesOf(frames) {
  if (frames.length < 2 || !frames.every((frame) => frame.position && frame.orientation)) return null;
  const axes = frames[0].orientation;
  const isParallel = (frame) => frame.orientation.every((each, index) => Math.abs(each - axes[index]) < 1e-3);
  if (!frames.every(isParallel)) return null;
  const normal = normalOf(axes);
  const places = new Map(frames.map((frame) => [frame, dot(normal, frame.position)]));
  const distinct = new Set([...places.values()].map((place) => place.toFixed(3)));
  return distinct.size === frames.length ? places : null;
}

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export const normalOf = ([a, b, c, d, e, f]) => [b * f - c * e, c * d - a * f, a * e - b * d];
