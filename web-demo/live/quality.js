// How finely the picture is drawn: as finely as this machine can at the pace of its screen. Pure: gaps between frames come in.

// Share of the full resolution, and frames of the screen for each drawn picture.
export const GRADES = [
  { scale: 1, every: 1 },
  { scale: 1, every: 2 },
  { scale: 0.75, every: 2 },
  { scale: 0.6, every: 2 },
  { scale: 0.5, every: 3 },
];
const LOOK_AT = 40;
const LATE_MS = 19;
const LATE_SHARE_MAX = 0.12;
// Good looks in a row before a finer picture is tried; twice as many after each try that was too much.
const PATIENCE = 8;
const PATIENCE_MAX = 256;

export class Quality {
  #grade = 0;
  #frames = 0;
  #late = 0;
  #good = 0;
  #patience = PATIENCE;

  get grade() {
    return GRADES[this.#grade];
  }

  /** Takes the gap before a frame, in milliseconds. Returns true where the grade has changed. */
  frame(gap) {
    this.#frames += 1;
    if (gap > LATE_MS) this.#late += 1;
    if (this.#frames < LOOK_AT) return false;
    const slow = this.#late > LOOK_AT * LATE_SHARE_MAX;
    this.#frames = this.#late = 0;
    this.#good = slow ? 0 : this.#good + 1;
    if (slow) return this.#turnTo(Math.min(this.#grade + 1, GRADES.length - 1));
    if (this.#good < this.#patience) return false;
    this.#patience = Math.min(this.#patience * 2, PATIENCE_MAX);
    this.#good = 0;
    return this.#turnTo(Math.max(this.#grade - 1, 0));
  }

  #turnTo(grade) {
    const changed = grade !== this.#grade;
    this.#grade = grade;
    return changed;
  }
}
