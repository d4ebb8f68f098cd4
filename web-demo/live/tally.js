// One counter as a viewer sees it: what the server has told, and the viewer's own taps that are still on their way. Its
// promise: the number runs backwards only where the server took something back. Pure: no page, no socket, no clock.

const TAPS_WAITING_MAX = 2_000;

export class Tally {
  #told = 0n;
  #shown = 0n;
  #waiting = new Set();
  // Own taps that are surely not in the told value, and those that may be.
  #sure = 0n;
  #doubtful = 0n;

  /** Own taps without an answer. */
  get waiting() {
    return this.#waiting.size;
  }

  /** The value as the server told it; taps on their way are not in it. */
  tell(value) {
    this.#told = value;
    for (const tap of this.#waiting) if (tap.lost) this.#doubt(tap);
  }

  /** Counts an own tap before the server has. Returns what `settle` wants later, or null where too many wait already. */
  tap() {
    if (this.#waiting.size >= TAPS_WAITING_MAX) return null;
    const tap = { lost: false, doubtful: false };
    this.#waiting.add(tap);
    this.#sure += 1n;
    return tap;
  }

  /** The tap has been answered: it is in the told value, or it has failed. */
  settle(tap) {
    if (!this.#waiting.delete(tap)) return;
    if (tap.doubtful) this.#doubtful -= 1n;
    else this.#sure -= 1n;
  }

  /** The connection is gone: the next value that is told may hold the taps on their way, or not. */
  lose() {
    for (const tap of this.#waiting) tap.lost = true;
  }

  /** What to show now. A doubtful tap keeps the number where it is, and never raises it. */
  look() {
    const sure = this.#told + this.#sure;
    const hoped = sure + this.#doubtful;
    const held = hoped < this.#shown ? hoped : this.#shown;
    this.#shown = held > sure ? held : sure;
    return this.#shown;
  }

  #doubt(tap) {
    if (tap.doubtful) return;
    tap.doubtful = true;
    this.#sure -= 1n;
    this.#doubtful += 1n;
  }
}
