// Folds taps into few increases: one at once, then the sum of what has come, as often as the throttle bears. While the
// connection is away the sum waits. It sends nothing itself.

import { ChatError, NO_ANSWER, NO_ROOM, WRONG_FIELD } from './names.js';
import { integer } from './wire.js';

const FOLDS_MAX = 128;
const FOLD_AGE_MS_MAX = 60_000;
// 20 in five seconds, evenly: a finger that rests finds its next tap sent at once.
const PACE_MS = 260;

export class Taps {
  #env;
  #throttle;
  #ready;
  #increase;
  #folds = new Map();
  #going = new Set();
  #lastAt = -Infinity;
  #timer = null;

  /** `ready()`: may be sent now. `increase({ groupID, key, value }, limit)` resolves to the answer, within `limit` ms. */
  constructor(env, throttle, ready, increase) {
    this.#env = env;
    this.#throttle = throttle;
    this.#ready = ready;
    this.#increase = increase;
  }

  /** Resolves with the increase that brings this tap. A signal takes the tap back where it has not been sent. */
  add({ groupID, key, value = 1, signal }) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const name = JSON.stringify([groupID, key]);
      const amount = BigInt(integer(value, 'value'));
      const fold = this.#folds.get(name) ?? this.#fold(name, groupID, key);
      if (BigInt.asIntN(64, fold.sum + amount) !== fold.sum + amount) throw new ChatError(WRONG_FIELD, 'The taps that wait add up to more than 64 bits.');
      fold.sum += amount;
      const aborted = () => {
        if (!fold.sent) fold.sum -= amount;
        fold.taps.delete(tap);
        tap.settle('reject', signal.reason);
      };
      const tap = {
        settle(how, outcome) {
          signal?.removeEventListener('abort', aborted);
          ({ resolve, reject })[how](outcome);
        },
      };
      signal?.addEventListener('abort', aborted);
      fold.taps.add(tap);
      this.flush();
    });
  }

  /** Sends what may go. `hurry`: the page may be about to vanish, so the even pace is left aside. */
  flush(hurry) {
    this.#env.clearTimeout(this.#timer);
    if (!this.#ready()) return;
    for (const [name, fold] of this.#folds) {
      if (this.#going.has(name)) continue;
      const now = this.#env.now();
      const pause = Math.max(this.#throttle.wait(now), hurry ? 0 : this.#lastAt + PACE_MS - now);
      if (pause > 0) {
        this.#timer = this.#env.setTimeout(() => this.flush(), pause);
        return;
      }
      this.#go(name, fold, now);
    }
  }

  /** Rejects every tap that waits. */
  clear(fault) {
    this.#env.clearTimeout(this.#timer);
    for (const [name, fold] of this.#folds) this.#end(name, fold, 'reject', fault);
  }

  #fold(name, groupID, key) {
    if (this.#folds.size >= FOLDS_MAX) throw new ChatError(NO_ROOM, `Taps on ${FOLDS_MAX} counters wait already.`);
    const tooOld = () => this.#end(name, fold, 'reject', new ChatError(NO_ANSWER, 'The taps could not be sent in time: they have not counted.'));
    const fold = { groupID, key, sum: 0n, taps: new Set(), sent: false, bornAt: this.#env.now(), timer: this.#env.setTimeout(tooOld, FOLD_AGE_MS_MAX) };
    this.#folds.set(name, fold);
    return fold;
  }

  async #go(name, fold, now) {
    const { groupID, key, sum: value, bornAt } = fold;
    this.#folds.delete(name);
    this.#env.clearTimeout(fold.timer);
    fold.sent = true;
    if (!fold.taps.size) return;
    this.#going.add(name);
    this.#lastAt = now;
    try {
      this.#end(name, fold, 'resolve', await this.#increase({ groupID, key, value }, FOLD_AGE_MS_MAX - (now - bornAt)));
    } catch (fault) {
      this.#end(name, fold, 'reject', fault);
    }
    this.#going.delete(name);
    this.flush();
  }

  #end(name, fold, how, outcome) {
    this.#env.clearTimeout(fold.timer);
    if (this.#folds.get(name) === fold) this.#folds.delete(name);
    for (const tap of fold.taps) tap.settle(how, outcome);
  }
}
