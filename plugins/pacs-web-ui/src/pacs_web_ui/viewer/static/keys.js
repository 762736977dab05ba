// Keys. They count while the focus is within the viewer, not in a field (WCAG 2.2, 2.1.4).

/** By key: what it does. Letters are those on the key, whatever the case. */
const KEYS = {
  ArrowUp: (viewer) => viewer.active.scroll(-1),
  ArrowDown: (viewer) => viewer.active.scroll(1),
  PageUp: (viewer) => viewer.active.scroll(-10),
  PageDown: (viewer) => viewer.active.scroll(10),
  Home: (viewer) => viewer.active.show(0),
  End: (viewer) => viewer.active.show(Infinity),
  ArrowLeft: (viewer) => viewer.openNeighbour(-1),
  ArrowRight: (viewer) => viewer.openNeighbour(1),
  " ": (viewer) => viewer.press("cine"),
  "+": (viewer) => viewer.active.zoomBy(1.25),
  "-": (viewer) => viewer.active.zoomBy(0.8),
  Delete: (viewer) => viewer.press("delete"),
  Backspace: (viewer) => viewer.press("delete"),
  Escape: (viewer) => viewer.cancel(),
  "?": (viewer) => viewer.press("help"),
};

/** With Shift: pixels to drag with the chosen tool, to the right and down. */
const NUDGES = { ArrowUp: [0, -8], ArrowDown: [0, 8], ArrowLeft: [-8, 0], ArrowRight: [8, 0] };

export function listenToKeys(root, viewer) {
  const letters = {};
  for (const button of root.querySelectorAll("[data-key]")) {
    letters[button.dataset.key.toLowerCase()] ??= () => button.click();
  }
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches("input:not([type=range]), select, textarea") || event.target.closest("dialog")) return;
    // A button is pressed by the space bar, and a slider is moved by the arrows, as anywhere.
    if (event.key === " " && event.target.matches("button, a")) return;
    if (event.target.matches("input[type=range]") && /^(Arrow|Page|Home|End)/.test(event.key)) return;
    if (event.shiftKey && NUDGES[event.key]) {
      event.preventDefault();
      viewer.nudge(...NUDGES[event.key]);
      return;
    }
    const preset = /^[1-9]$/.test(event.key) ? () => viewer.choosePreset(Number(event.key)) : null;
    const action = KEYS[event.key] ?? preset ?? letters[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action(viewer);
  });
}
