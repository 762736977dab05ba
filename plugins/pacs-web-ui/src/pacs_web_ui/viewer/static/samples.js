// Native frames to stored values, and stored values to what a screen shows.
//
// A grey value goes through the stages of PS3.4 Figure N.2-1: modality, values of interest,
// presentation. They are computed once for each value that Bits Stored allows, not for each pixel,
// so that a window follows the mouse. Samples of more than 16 bits have too many values for that.

const MAX_TABLE_BITS = 16;
const OPAQUE = 0xff000000;
export const GREYS = Uint32Array.from({ length: 256 }, (_, level) => OPAQUE | level << 16 | level << 8 | level);

/** Return the stored values of a native little endian frame (PS3.5 §8.1.1). */
export function storedValues(buffer, { rows, columns, allocated, stored, high, signed, floats }) {
  const count = rows * columns;
  if (allocated === 1) {
    const packed = new Uint8Array(buffer);
    if (packed.length * 8 < count) throw new Error(`${packed.length} B`);
    return Uint8Array.from({ length: count }, (_, index) => packed[index >> 3] >> (index & 7) & 1);
  }
  const kinds = floats
    ? { 32: Float32Array, 64: Float64Array }
    : signed ? { 8: Int8Array, 16: Int16Array, 32: Int32Array }
    : { 8: Uint8Array, 16: Uint16Array, 32: Uint32Array };
  const Kind = kinds[allocated];
  if (!Kind) throw new Error(`Bits Allocated ${allocated}`);
  if (buffer.byteLength < count * Kind.BYTES_PER_ELEMENT) throw new Error(`${buffer.byteLength} B`);
  const cells = new Kind(buffer, 0, count);
  if (floats || stored === allocated) return cells;
  // Bits beyond those stored are no part of a sample: overlays may be there. The shift to the
  // right repeats the sign where there is one.
  const left = 31 - high, right = 32 - stored;
  return signed ? cells.map((cell) => cell << left >> right) : cells.map((cell) => cell << left >>> right);
}

/** Return the function of a window, whose results are from 0 to 1 (PS3.3 C.11.2.1.2, .3). */
export function windowFunction({ centre, width, shape }) {
  const clip = (fraction) => Math.min(1, Math.max(0, fraction));
  if (shape === "SIGMOID") return (value) => 1 / (1 + Math.exp(-4 * (value - centre) / width));
  if (shape === "LINEAR_EXACT") return (value) => clip((value - centre) / width + 0.5);
  // LINEAR divides by the width less one: a width of 1 is a threshold.
  if (width <= 1) return (value) => (value > centre - 0.5 ? 1 : 0);
  return (value) => clip((value - (centre - 0.5)) / (width - 1) + 0.5);
}

/**
 * A lookup table (PS3.3 C.11.1.1, C.11.2.1.1); null if it has no entries.
 * `isSigned` says how the first value mapped is meant, whatever its VR.
 */
export function lookupTable([count, first, bits], data, isSigned) {
  if (!Number.isFinite(count) || !Number.isFinite(first) || data.length === 0) return null;
  const total = count || 65536;
  const start = isSigned && first > 0x7fff ? first - 65536 : first;
  const words = new Uint16Array(data.slice(0, data.length & ~1).buffer);
  const isWide = bits > 8 || data.length >= 2 * total;
  const entries = (isWide ? words : data).subarray(0, total);
  const highest = entries.reduce((most, entry) => Math.max(most, entry), 0);
  const range = 2 ** Math.max(Math.min(bits, 16), Math.ceil(Math.log2(highest + 1)), 1) - 1;
  const at = (value) => entries[Math.min(entries.length - 1, Math.max(0, Math.round(value) - start))];
  return { at, fraction: (value) => at(value) / range };
}

/** Grey values of a frame. */
export class GreyPicture {
  /** `modality` maps stored values; `voi` is the VOI LUT of the frame, or null. */
  constructor(frame, stored, modality, voi) {
    this.frame = frame;
    this.columns = frame.columns;
    this.rows = frame.rows;
    this.stored = stored;
    this.modality = modality;
    this.voi = voi;
    this.bytes = stored.byteLength;
  }

  /** The value of a pixel, in the units of the modality. */
  valueAt(x, y) { return this.modality(this.stored[y * this.columns + x]); }

  /** From the lowest to the highest value there is, padding left out. */
  get range() {
    if (this._range) return this._range;
    const padding = this.frame.padding;
    let low = Infinity, high = -Infinity;
    for (const value of this.stored) {
      if (!Number.isFinite(value)) continue; // of floats
      if (padding && value >= padding[0] && value <= padding[1]) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) low = high = 0;
    const ends = [this.modality(low), this.modality(high)].sort((a, b) => a - b);
    this._range = { low: ends[0], high: ends[1] };
    return this._range;
  }

  get spanningWindow() {
    const { low, high } = this.range;
    if (low < high) return { name: "", centre: (low + high) / 2, width: high - low, shape: "LINEAR_EXACT" };
    return { name: "", centre: low + 0.5, width: 1, shape: "LINEAR_EXACT" };
  }

  get defaultWindow() { return this.frame.windows[0] ?? this.spanningWindow; }

  /** Write pixels as a window shows them; without one, as the VOI LUT of the frame does. */
  paint(pixels, window, isInverted) {
    const fraction = window || !this.voi ? windowFunction(window ?? this.defaultWindow) : this.voi;
    const shown = (value) => {
      const level = fraction(this.modality(value));
      return GREYS[Math.round((isInverted ? 1 - level : level) * 255)];
    };
    const { stored: bits, signed, allocated } = this.frame.format;
    const { stored } = this;
    if (allocated > 1 && bits > MAX_TABLE_BITS) {
      for (let index = 0; index < stored.length; index += 1) pixels[index] = shown(stored[index]);
      return;
    }
    const low = signed ? -(2 ** (bits - 1)) : 0;
    const table = Uint32Array.from({ length: 2 ** bits }, (_, index) => shown(low + index));
    for (let index = 0; index < stored.length; index += 1) pixels[index] = table[stored[index] - low];
  }
}

/** Colours of a frame, which the server has made red, green and blue. */
export class ColourPicture {
  constructor(frame, bitmap) {
    this.frame = frame;
    this.bitmap = bitmap;
    this.columns = bitmap.width;
    this.rows = bitmap.height;
    this.bytes = 4 * bitmap.width * bitmap.height;
  }
}
