// What engineers want to know of a stream of events: percentiles of the newest durations, and counts for each second. Pure:
// time comes in. It keeps a bounded past only.

const SAMPLES_MAX = 256;

/** The newest durations, in milliseconds. */
export class Durations {
  #ring = [];
  #next = 0;

  add(ms) {
    this.#ring[this.#next] = ms;
    this.#next = (this.#next + 1) % SAMPLES_MAX;
  }

  /** The smallest duration that `share` (0 to 1) of them do not pass, or null where there is none. */
  percentile(share) {
    if (this.#ring.length === 0) return null;
    const sorted = [...this.#ring].sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  }
}

/** How much came in each of the last `seconds` full seconds, the newest last. */
export class PerSecond {
  #seconds;
  #counts = new Map();

  constructor(seconds) {
    this.#seconds = seconds;
  }

  add(now, amount = 1) {
    const second = Math.floor(now / 1000);
    this.#counts.set(second, (this.#counts.get(second) ?? 0) + amount);
    for (const old of this.#counts.keys()) if (old < second - this.#seconds) this.#counts.delete(old);
  }

  series(now) {
    const last = Math.floor(now / 1000) - 1;
    return Array.from({ length: this.#seconds }, (_, index) => this.#counts.get(last - this.#seconds + 1 + index) ?? 0);
  }
}
