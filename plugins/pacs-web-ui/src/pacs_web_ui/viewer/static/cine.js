// Cine: frame after frame, none left out, no faster than they come.

const USUAL = 15; // frames in a second, where the dataset has none (PS3.3 C.7.6.5)
export const FASTEST = 60;

export class Cine {
  constructor(viewport, onchange) {
    this.viewport = viewport;
    this.onchange = onchange;
    this.rate = USUAL;
    this.isPlaying = false;
  }

  /** Take the rate that a stack says. */
  follow(frames) {
    this.stop();
    const rate = frames[0]?.rate || USUAL;
    this.rate = Math.min(FASTEST, Math.max(1, Math.round(rate)));
  }

  toggle() {
    if (this.isPlaying) this.stop();
    else if (this.viewport.frames.length > 1) this.play();
  }

  stop() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.viewport.show(this.viewport.shown); // not the one that is on its way
    this.onchange();
  }

  async play() {
    this.isPlaying = true;
    this.onchange();
    let next = performance.now();
    const { viewport } = this;
    while (this.isPlaying) {
      next = Math.max(next + 1000 / this.rate, performance.now());
      await new Promise((resolve) => setTimeout(resolve, next - performance.now()));
      if (this.isPlaying) await viewport.show((viewport.index + 1) % viewport.frames.length);
    }
  }
}
