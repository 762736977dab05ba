// Overlay planes: graphics of one bit for each pixel, drawn over the image (PS3.3 C.9.2).

import { bytesOf, number, numbers } from "./dicom.js";

const LARGEST = 1 << 26; // pixels
const WHITE = 0xffffffff;

const GROUPS = Array.from({ length: 16 }, (_, index) => (0x6000 + 2 * index).toString(16));

/** The elements of one overlay, under the names that group 6000 has for them. */
function elementsOf(instance, group) {
  const found = Object.keys(instance).filter((tag) => tag.toLowerCase().startsWith(group));
  return Object.fromEntries(found.map((tag) => [`6000${tag.slice(4).toUpperCase()}`, instance[tag]]));
}

async function read(instance, group) {
  const set = elementsOf(instance, group);
  const rows = number(set, "OverlayRows", 0), columns = number(set, "OverlayColumns", 0);
  if (!(rows > 0 && columns > 0 && rows * columns <= LARGEST)) return null;
  const data = await bytesOf(set, "OverlayData"); // none if it is in bits of the pixels, which is retired
  const [top = 1, left = 1] = numbers(set, "OverlayOrigin");
  const frames = number(set, "NumberOfFramesInOverlay", 0);
  return { rows, columns, data, top, left, frames, origin: number(set, "ImageFrameOrigin", 1) };
}

function paint({ rows, columns, data, frames, origin, top, left }, frame) {
  const at = frames ? frame - origin : 0; // without a number of frames it is for all
  const first = at * rows * columns;
  if (at < 0 || frames && at >= frames || data.length * 8 < first + rows * columns) return null;
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < pixels.length; index += 1) {
    const bit = first + index;
    if (data[bit >> 3] >> (bit & 7) & 1) pixels[index] = WHITE;
  }
  context.putImageData(image, 0, 0);
  return { canvas, x: left - 1, y: top - 1 };
}

const known = new WeakMap(); // by instance: all of its frames have the same

/** Return what is to be drawn over a frame: canvases, and where. What cannot be read is left out. */
export async function overlaysOf(instance, frame) {
  if (!known.has(instance)) {
    const reading = GROUPS.map((group) => read(instance, group).catch(() => null));
    known.set(instance, Promise.all(reading));
  }
  const planes = await known.get(instance);
  return planes.filter(Boolean).map((plane) => paint(plane, frame)).filter(Boolean);
}
