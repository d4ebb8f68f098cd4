// When to renew a UserSig. The clocks of browsers are wrong by hours, and both ways: what counts is the life that the sig itself
// names, from the answer to the login on.

import { EVENT } from './names.js';

const WAIT_MS_MIN = 1_000;
const SHORTEST_MS_MAX = 600_000;
// Browsers take a longer one for none at all.
const WAIT_MS_MAX = 2_000_000_000;
// In good time, because a browser may hold a hidden page's timers back for a minute.
const PART = 0.8;
// Less life than that was left by this clock when the gateway took the sig: rather is the clock wrong.
const BELIEVED_PART = 1 / 8;
const LETTERS = { '*': '+', '-': '/', _: '=' };

/** For how many milliseconds a sig was made; undefined where that cannot be read. */
export async function lifeOf(sig) {
  try {
    const bytes = Uint8Array.from(atob(sig.replace(/[*_-]/g, (letter) => LETTERS[letter])), (letter) => letter.charCodeAt());
    const { 'TLS.expire': seconds } = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'))).json();
    return seconds * 1000;
  } catch {
    return undefined;
  }
}

export function makeRenewal(env, emit) {
  const alarm = env.alarm();
  let shortest = WAIT_MS_MIN;
  let armed;

  // What is no number of milliseconds is no wait either.
  function wait(ms, renew) {
    const hurried = !(ms >= shortest);
    if (armed) alarm(hurried ? shortest : Math.min(WAIT_MS_MAX, ms), renew);
    shortest = hurried ? Math.min(SHORTEST_MS_MAX, shortest * 2) : WAIT_MS_MIN;
    return hurried;
  }

  return {
    /** Nothing is renewed until a sig has been taken again. */
    stop() {
      armed = false;
      alarm();
    },

    /** Calls `renew` in time for a sig that was made for `life` and has `left` by this machine's clock. */
    begin(life, left, renew) {
      armed = true;
      const first = shortest === WAIT_MS_MIN;
      const hurried = wait(PART * (life === undefined ? left : left > life * BELIEVED_PART ? Math.min(life, left) : life), renew);
      if (hurried && !first) emit(EVENT.ERROR, new Error('A UserSig has hardly any time left: the clock here is ahead, or getUserSig gives old ones.'));
    },

    /** It failed, and is tried again: ever more seldom. */
    again: (renew) => wait(0, renew),
  };
}
