// Folds taps into few increases: one at once, then the sum of what has come, as often as the throttle bears. While the
// connection is away the sum waits.

import { onAbort } from './env.js';
import { integer } from './wire.js';

/**
 * `increase({ groupID, key, value }, { signal, sum })` resolves to the answer; it calls `sum` for the value when it is sent
 * for the first time, and from then on that stays what it is.
 */
export function makeTaps(increase) {
  const folds = new Map();

  function opened(name, groupID, key) {
    const control = new AbortController();
    const fold = { control, value: 0n, taps: 0 };
    const close = () => {
      if (folds.get(name) === fold) folds.delete(name);
      return fold.value;
    };
    folds.set(name, fold);
    // One turn later, so that the first tap is in it.
    fold.answer = Promise.resolve().then(() => increase({ groupID, key, value: 0 }, { signal: control.signal, sum: close }));
    fold.answer.catch(close);
    return fold;
  }

  /** Resolves with the increase that brings this tap. A signal takes the tap back where it has not been sent. */
  return ({ groupID, key, value = 1, signal } = {}) => new Promise((resolve, reject) => {
    const name = JSON.stringify([groupID, key]);
    const amount = BigInt(integer(value, 'value'));
    const release = onAbort(signal, (reason) => {
      reject(reason);
      if (folds.get(name) !== fold) return;
      fold.value -= amount;
      fold.taps -= 1;
      if (!fold.taps) fold.control.abort();
    });
    const fold = folds.get(name) ?? opened(name, groupID, key);
    fold.value += amount;
    fold.taps += 1;
    fold.answer.then(resolve, reject).then(release);
  });
}
