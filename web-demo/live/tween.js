// The way of a number from one value to the next: always towards its aim, ending on every digit of it. Pure: time comes in.

const STEPS = 1_000_000;

export class Tween {
  #from = 0n;
  #aim = 0n;
  #startedAt = 0;
  #lasts = 0;

  /** Jumps. */
  set(value) {
    this.#from = this.#aim = value;
    this.#lasts = 0;
  }

  /** Goes on from where it is now, to be there in `ms`. */
  to(value, now, ms) {
    if (value === this.#aim) return;
    this.#from = this.at(now);
    this.#aim = value;
    this.#startedAt = now;
    this.#lasts = ms;
  }

  /** The value at this moment; moments may only grow. */
  at(now) {
    const part = this.#lasts > 0 ? Math.min(1, Math.max(0, (now - this.#startedAt) / this.#lasts)) : 1;
    if (part === 1) return this.#aim;
    const eased = BigInt(Math.floor(STEPS * (1 - (1 - part) ** 3)));
    return this.#from + ((this.#aim - this.#from) * eased) / BigInt(STEPS);
  }
}
