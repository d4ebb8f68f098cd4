// How many writes the gateway takes of one user: 20 in any five seconds, over all groups. Pure.

const WRITES = 20;
// A little more than the gateway's window, because the way there is not always equally long.
const WINDOW_MS = 5_100;

export class Throttle {
  #stamps = [];
  #until = 0;

  /** Milliseconds until one more write would be taken, as far as this client knows. */
  wait(now) {
    const oldest = this.#stamps.length < WRITES ? 0 : this.#stamps[0] + WINDOW_MS;
    return Math.max(0, oldest - now, this.#until - now);
  }

  took(now) {
    this.#stamps.push(now);
    if (this.#stamps.length > WRITES) this.#stamps.shift();
  }

  /** The gateway knows of more writes than this client has sent: nothing goes before `until`. */
  pause(until) {
    this.#until = Math.max(this.#until, until);
  }
}
