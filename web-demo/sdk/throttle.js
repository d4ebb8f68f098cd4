// How many writes the gateway takes of one user: 20 in any five seconds, over all groups. Pure.

const WRITES = 20;
// A little more than the gateway's window, because the way there is not always equally long.
const WINDOW_MS = 5_100;
// 20 in five seconds, evenly: a finger that rests finds its next tap sent at once.
const PACE_MS = 260;

export function makeThrottle() {
  const stamps = [];
  let until = 0;
  let pacedAt = 0;
  return {
    /** Milliseconds until one more write would be taken, as far as this client knows; for a `paced` one, until it is its turn. */
    wait: (now, paced) => Math.max(0, until - now, paced ? pacedAt + PACE_MS - now : 0, stamps.length < WRITES ? 0 : stamps[0] + WINDOW_MS - now),

    took(now, paced) {
      stamps.push(now);
      if (stamps.length > WRITES) stamps.shift();
      if (paced) pacedAt = now;
    },

    /** The gateway knows of more writes than this client has sent: nothing goes before `time`. */
    pause(time) {
      until = Math.max(until, time);
    },
  };
}
