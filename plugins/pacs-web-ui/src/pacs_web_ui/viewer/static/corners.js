// What is written in the corners and at the edges of a viewport.

import { directionsOf, opposite } from "./geometry.js";
import { number, text } from "./dicom.js";
import { t } from "./texts.js";

const plain = (value) => {
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) < 10 ? String(Number(value.toPrecision(3))) : value.toFixed(1);
};

function series(frame) {
  const title = text(frame.instance, "SeriesDescription");
  const number_ = text(frame.instance, "SeriesNumber");
  const view = [frame.text("ImageLaterality") || frame.text("Laterality"), frame.text("ViewPosition")];
  return [title || `${t("Series|one")} ${number_}`, view.filter(Boolean).join(" ")];
}

function place({ frame, frames, shown }) {
  const count = number(frame.instance, "NumberOfFrames", 1);
  const lines = [`${t("Image")} ${shown + 1} / ${frames.length}`];
  if (count > 1 && count !== frames.length) lines.push(`${t("Frame")} ${frame.number} / ${count}`);
  const location = number(frame.instance, "SliceLocation");
  if (!Number.isNaN(location)) lines.push(`${t("Location")} ${location.toFixed(1)} mm`);
  const thickness = number(frame.holder("SliceThickness"), "SliceThickness");
  if (thickness > 0) lines.push(`${t("Thickness")} ${plain(thickness)} mm`);
  return lines;
}

function values({ frame, picture, pointed, shownWindow, window, zoom, isInverted }) {
  const lines = [];
  if (pointed) {
    const x = Math.floor(pointed.x), y = Math.floor(pointed.y);
    if (x >= 0 && y >= 0 && x < picture.columns && y < picture.rows) {
      const value = picture.valueAt ? `: ${plain(picture.valueAt(x, y))} ${frame.unit}` : "";
      lines.push(`${x}, ${y}${value}`);
    }
  }
  lines.push(`${t("Zoom")} ${Math.round(100 * zoom)} %${isInverted ? `, ${t("inverted")}` : ""}`);
  if (shownWindow) lines.push(`${t("C|centre of the window")} ${plain(shownWindow.centre)}  ${t("W|width of the window")} ${plain(shownWindow.width)}`);
  else if (picture?.voi && !window) lines.push("VOI LUT");
  return lines;
}

/** Letters at the left, upper, right and lower edge, as the image is turned. */
export function edges(frame, { turn, isMirrored, isFlipped }) {
  const known = directionsOf(frame);
  if (!known) return ["", "", "", ""];
  const right = isMirrored ? opposite(known.right) : known.right;
  const down = isFlipped ? opposite(known.down) : known.down;
  const around = [right, down, opposite(right), opposite(down)]; // clockwise from the right
  const steps = turn / 90;
  const at = (side) => around[(side - steps + 4) % 4];
  return [at(2), at(3), at(0), at(1)];
}

export function writeCorners(viewport) {
  const { root, frame, picture } = viewport;
  const write = (name, lines) => {
    const lines_ = lines.filter(Boolean);
    root.querySelector(`.${name}`).replaceChildren(...lines_.map((line) => {
      const made = document.createElement("span");
      made.textContent = line;
      return made;
    }));
  };
  write("at-upper-left", frame ? series(frame) : []);
  write("at-lower-left", frame ? place(viewport) : []);
  write("at-lower-right", frame && picture ? values(viewport) : []);
  const isLossy = frame && text(frame.instance, "LossyImageCompression") === "01";
  write("at-upper-right", isLossy ? [t("Compressed with loss")] : []);
  const letters = frame && picture ? edges(frame, viewport.place) : ["", "", "", ""];
  ["left", "top", "right", "bottom"].forEach((side, index) => {
    root.querySelector(`.edge-${side}`).textContent = letters[index];
  });
}
