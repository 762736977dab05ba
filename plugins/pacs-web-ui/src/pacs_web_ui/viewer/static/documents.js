// What is no image: reports, documents, videos, and pages about what has no picture.

import { ask } from "./loading.js";
import { explain, t } from "./texts.js";

function frameOf(title, source) {
  const made = document.createElement("iframe");
  made.title = title;
  made.src = source;
  return made;
}

/** By kind: return the elements that show it. */
const KINDS = {
  report: async (set) => [frameOf(t("Report"), set.dataset.page)],
  document: async (set, url) => {
    const answer = await ask(`${url}/rendered`, "application/pdf");
    const bytes = await answer.arrayBuffer();
    // Its type is said here: whatever the file is, the browser takes it for nothing else.
    const address = URL.createObjectURL(new Blob([bytes], { type: "application/pdf" }));
    const frame = frameOf(t("Document"), address);
    return [frame];
  },
  // A page without scripts, that the server makes of HL7 CDA.
  text: async (set, url) => [frameOf(t("Document"), `${url}/rendered?accept=text/html`)],
  video: async (set, url) => {
    const made = document.createElement("video");
    made.controls = made.loop = true;
    made.src = `${url}/rendered`;
    return [made];
  },
  other: async (set) => [frameOf(t("Instance"), set.dataset.page)],
};

export async function showDocument(viewport, set, study) {
  const { series, instance, kind } = set.dataset;
  const url = `${study}/series/${encodeURIComponent(series)}/instances/${encodeURIComponent(instance)}`;
  viewport.say(t("Loading …"));
  try {
    const elements = await KINDS[kind](set, url);
    if (viewport.set !== set) return;
    viewport.say("");
    viewport.root.querySelector(".document").replaceChildren(...elements);
  } catch (error) {
    if (viewport.set === set) viewport.say(explain(t("This document cannot be shown."), error));
  }
}
