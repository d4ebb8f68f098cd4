// How many writes the gateway takes of one user: 20 in any five seconds, over all groups. Pure.

const WRITES = 20;
// A little more than the gateway's window, because the way there is not always equally long.
const WINDOW_MS = 5_100;

export function makeThrottle() {
  const stamps = [];
  let until = 0;
  return {
    /** Milliseconds until one more write would be taken, as far as this client knows. */
    wait: (now) => Math.max(0, until - now, stamps.length < WRITES ? 0 : stamps[0] + WINDOW_MS - now),

    took(now) {
      stamps.push(now);
      if (stamps.length > WRITES) stamps.shift();
    },

    /** The gateway knows of more writes than this client has sent: nothing goes before `time`. */
    pause(time) {
      until = Math.max(until, time);
    },
  };
}
