// One counter as a viewer sees it: what the server has told, and the viewer's own taps that are still on their way. Its
// promise: the number runs backwards only where the server took something back. Pure: no page, no socket, no clock.

const TAPS_WAITING_MAX = 2_000;

export class Tally {
  #told = null;
  #shown = 0n;
  #waiting = new Set();
  #fresh = 0n;
  #unsure = 0n;

  /** False until the server has told a value. */
  get known() {
    return this.#told !== null;
  }

  /** Own taps without an answer. */
  get waiting() {
    return this.#waiting.size;
  }

  /** The value as the server told it; taps on their way are not in it. */
  tell(value) {
    this.#told = value;
  }

  /** Counts an own tap before the server has. Returns what `settle` wants later, or null where too many wait already. */
  tap() {
    if (this.#waiting.size >= TAPS_WAITING_MAX) return null;
    const tap = { unsure: false };
    this.#waiting.add(tap);
    this.#fresh += 1n;
    return tap;
  }

  /** The tap has been answered: it is in the told value, or it has failed. */
  settle(tap) {
    if (!this.#waiting.delete(tap)) return;
    if (tap.unsure) this.#unsure -= 1n;
    else this.#fresh -= 1n;
  }

  /** The connection is gone: the next told value may hold the taps on their way, or not. */
  lose() {
    for (const tap of this.#waiting) tap.unsure = true;
    this.#unsure += this.#fresh;
    this.#fresh = 0n;
  }

  /** What to show now. A tap of unsure fate keeps the number where it is, and never raises it. */
  look() {
    const sure = (this.#told ?? 0n) + this.#fresh;
    const hoped = sure + this.#unsure;
    const held = hoped < this.#shown ? hoped : this.#shown;
    this.#shown = held > sure ? held : sure;
    return this.#shown;
  }
}
