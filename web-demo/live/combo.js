// Gifts that follow each other closely count as one combo, ×N, until nothing follows for a while. Pure: time comes in.

export const COMBO_MS = 2_600;

export class Combo {
  #count = 0n;
  #lastAt = -Infinity;

  /** Adds `amount` (a BigInt) and returns the combo's count so far. One that is over begins anew. */
  hit(amount, now) {
    if (this.over(now)) this.#count = 0n;
    this.#count += amount;
    this.#lastAt = now;
    return this.#count;
  }

  /** True once nothing has followed for `COMBO_MS`. */
  over(now) {
    return now - this.#lastAt >= COMBO_MS;
  }

  get count() {
    return this.#count;
  }
}
