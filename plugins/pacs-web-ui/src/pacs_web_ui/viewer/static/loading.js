// Frames from the server, those that are looked at first, kept as long as there is room.

import { bytesOf, items, numbers, text } from "./dicom.js";
import { overlaysOf } from "./overlays.js";
import { ColourPicture, GreyPicture, lookupTable, storedValues } from "./samples.js";

const AT_ONCE = 6; // as many as browsers open connections to a host
const BUDGET = Math.min(navigator.deviceMemory ?? 4, 4) * 192 * 1024 * 1024;
const NATIVE = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1";
// Their Modality LUT leads back to X-Ray intensities, and is not for display (PS3.3 C.8.7.1.1.2).
const X_RAY = new Set([1, 2, 3].map((n) => `1.2.840.10008.5.1.4.1.1.12.${n}`));

/** Fetch, and fail with what the server says is wrong. */
export async function ask(url, accept) {
  const answer = await fetch(url, { headers: { accept } });
  if (answer.ok) return answer;
  let detail = "";
  try { detail = (await answer.json()).detail ?? ""; } catch { /* no problem in JSON */ }
  throw new Error(detail || `${answer.status} ${answer.statusText}`);
}

/** The table of an item; `isSigned`: what it maps can be negative (PS3.3 C.11.1.1.1, C.11.2.1.1). */
async function tableOf(item, isSigned) {
  if (!item) return null;
  return lookupTable(numbers(item, "LUTDescriptor"), await bytesOf(item, "LUTData"), isSigned);
}

async function fetchGrey(frame) {
  const { signed, stored } = frame.format;
  const { slope, intercept } = frame.rescale;
  const isXRay = X_RAY.has(text(frame.instance, "SOPClassUID"));
  const [answer, table] = await Promise.all([
    ask(frame.url, NATIVE).then((found) => found.arrayBuffer()),
    tableOf(isXRay ? null : items(frame.instance, "ModalityLUTSequence")[0], signed),
  ]);
  const modality = table ? table.at : (value) => value * slope + intercept;
  const lowest = signed ? -(2 ** (stored - 1)) : 0;
  const isNegative = Math.min(modality(lowest), modality(lowest + 2 ** stored - 1)) < 0;
  const voi = await tableOf(frame.table, isNegative);
  return new GreyPicture(frame, storedValues(answer, frame.format), modality, voi?.fraction ?? null);
}

async function fetchColour(frame) {
  const answer = await ask(`${frame.url}/rendered`, "image/png");
  return new ColourPicture(frame, await createImageBitmap(await answer.blob()));
}

async function fetchPicture(frame) {
  const [picture, overlays] = await Promise.all([
    frame.isColour ? fetchColour(frame) : fetchGrey(frame),
    overlaysOf(frame.instance, frame.number),
  ]);
  picture.overlays = overlays;
  return picture;
}

/** Keeps and fetches pictures for all viewports. */
export class FrameLoader {
  constructor() {
    this._kept = new Map(); // by key, the one used last at the end
    this._bytes = 0;
    this._promises = new Map();
    this._waiting = [];
    this._running = 0;
  }

  /** The picture of a frame, if it is there. */
  get(frame) {
    const picture = this._kept.get(frame.key);
    if (picture) {
      this._kept.delete(frame.key);
      this._kept.set(frame.key, picture);
    }
    return picture;
  }

  has(frame) { return this._kept.has(frame.key); }

  /** Promise the picture of a frame, before all that is waited for. */
  load(frame) {
    const there = this.get(frame);
    if (there) return Promise.resolve(there);
    const job = this._waiting.find((each) => each.frame.key === frame.key);
    if (job) {
      job.isEarly = false;
      this._waiting = [job, ...this._waiting.filter((each) => each !== job)];
    }
    return this._promises.get(frame.key) ?? this._queue(frame, null);
  }

  /** Fetch frames when there is nothing else to do; the owner does not want those asked for before. */
  prefetch(owner, frames) {
    const isStale = (job) => job.isEarly && job.owner === owner;
    for (const job of this._waiting.filter(isStale)) this._promises.delete(job.frame.key);
    this._waiting = this._waiting.filter((job) => !isStale(job));
    let room = BUDGET;
    for (const frame of frames) {
      room -= frame.rows * frame.columns * (frame.isColour ? 4 : 2);
      if (room < 0) break;
      if (!this.has(frame) && !this._promises.has(frame.key)) this._queue(frame, owner).catch(() => {});
    }
  }

  _queue(frame, owner) {
    const job = { frame, owner, isEarly: owner !== null };
    const promise = new Promise((resolve, reject) => Object.assign(job, { resolve, reject }));
    this._promises.set(frame.key, promise);
    if (job.isEarly) this._waiting.push(job);
    else this._waiting.unshift(job);
    this._work();
    return promise;
  }

  _work() {
    while (this._running < AT_ONCE && this._waiting.length) {
      const job = this._waiting.shift();
      this._running += 1;
      fetchPicture(job.frame)
        .then((picture) => { this._keep(job.frame, picture); job.resolve(picture); }, job.reject)
        .finally(() => {
          this._running -= 1;
          this._promises.delete(job.frame.key);
          this._work();
        });
    }
  }

  _keep(frame, picture) {
    this._kept.set(frame.key, picture);
    this._bytes += picture.bytes;
    for (const [key, oldest] of this._kept) {
      if (this._bytes <= BUDGET || oldest === picture) break;
      this._kept.delete(key);
      this._bytes -= oldest.bytes;
    }
  }
}
