// Folds taps into few increases: one at once, then the sum of what has come, as often as the throttle bears. While the
// connection is away the sum waits. It sends nothing itself.

import { onAbort } from './env.js';
import { room, unanswered } from './names.js';
import { integer } from './wire.js';

const FOLDS_MAX = 128;
const FOLD_AGE_MS_MAX = 60_000;
// 20 in five seconds, evenly: a finger that rests finds its next tap sent at once.
const PACE_MS = 260;

/** Sends while `requests` are ready. `increase({ groupID, key, value }, limit)` resolves to the answer, within `limit` ms. */
export function makeTaps(env, throttle, requests, increase) {
  const folds = new Map();
  const going = new Set();
  const alarm = env.alarm();
  let lastAt = -Infinity;

  /** Sends what may go. `hurry`: the page may be about to vanish, so the even pace is left aside. */
  function flush(hurry) {
    alarm();
    if (!requests.isReady()) return;
    for (const [name, fold] of folds) {
      if (going.has(name)) continue;
      const now = env.now();
      const pause = Math.max(throttle.wait(now), hurry ? 0 : lastAt + PACE_MS - now);
      if (pause > 0) return alarm(pause, flush);
      go(name, fold, now);
    }
  }

  async function go(name, fold, now) {
    folds.delete(name);
    fold.alarm();
    fold.sent = true;
    if (!fold.taps.size) return;
    going.add(name);
    lastAt = now;
    const { groupID, key, sum: value, dueBy } = fold;
    const outcome = await increase({ groupID, key, value }, dueBy - now).then((answer) => ['resolve', answer], (fault) => ['reject', fault]);
    end(fold, ...outcome);
    going.delete(name);
    flush();
  }

  function end(fold, ...outcome) {
    fold.alarm();
    for (const settle of fold.taps) settle(...outcome);
  }

  function opened(name, groupID, key) {
    room(folds, FOLDS_MAX);
    const fold = { groupID, key, sum: 0n, taps: new Set(), dueBy: env.now() + FOLD_AGE_MS_MAX, alarm: env.alarm() };
    folds.set(name, fold);
    fold.alarm(FOLD_AGE_MS_MAX, () => {
      folds.delete(name);
      end(fold, 'reject', unanswered());
    });
    return fold;
  }

  return {
    flush,

    /** Resolves with the increase that brings this tap. A signal takes the tap back where it has not been sent. */
    add: ({ groupID, key, value = 1, signal }) => new Promise((resolve, reject) => {
      const name = JSON.stringify([groupID, key]);
      const amount = BigInt(integer(value, 'value'));
      const fold = folds.get(name) ?? opened(name, groupID, key);
      const sum = integer(fold.sum + amount, 'What waits');
      const settle = (how, outcome) => {
        release();
        ({ resolve, reject })[how](outcome);
      };
      const release = onAbort(signal, (reason) => {
        if (!fold.sent) fold.sum -= amount;
        fold.taps.delete(settle);
        settle('reject', reason);
      });
      fold.sum = sum;
      fold.taps.add(settle);
      flush();
    }),

    /** Rejects every tap that waits. */
    clear(fault) {
      alarm();
      for (const fold of folds.values()) end(fold, 'reject', fault);
      folds.clear();
    },
  };
}
