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

export class Quality {
  #grade = 0;
  #frames = 0;
  #late = 0;

  get grade() {
    return GRADES[this.#grade];
  }

  /** Takes the gap before a frame, in milliseconds. Returns true where the grade has become coarser. */
  frame(gap) {
    this.#frames += 1;
    if (gap > LATE_MS) this.#late += 1;
    if (this.#frames < LOOK_AT) return false;
    const slow = this.#late > LOOK_AT * LATE_SHARE_MAX && this.#grade < GRADES.length - 1;
    this.#frames = this.#late = 0;
    if (slow) this.#grade += 1;
    return slow;
  }
}
