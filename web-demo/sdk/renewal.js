// When to renew a UserSig. The clocks of browsers are wrong by hours, and both ways: what counts is the life that the sig itself
// names, from the answer to the login on.

import { EVENT } from './names.js';

const WAIT_MS_MIN = 1_000;
// A sig that has less than this left, and less than half of its life, hurries.
const SHORT_MS = 60_000;
// Browsers take a longer one for none at all.
const WAIT_MS_MAX = 2_000_000_000;
// In good time, because a browser may hold a hidden page's timers back for a minute.
const PART = 0.8;
// Less life than that was left by this clock when the gateway took the sig: rather is the clock wrong.
const BELIEVED_PART = 1 / 8;

/** For how many milliseconds a sig was made; rejects where that cannot be read. */
export async function lifeOf(sig) {
  const bytes = Uint8Array.from(atob(sig.replace(/[*_-]/g, (letter) => '+=/'['*_-'.indexOf(letter)])), (letter) => letter.charCodeAt());
  const text = await new Response(new Response(bytes).body.pipeThrough(new DecompressionStream('deflate'))).json();
  return text['TLS.expire'] * 1000;
}

export function makeRenewal(env, emit) {
  const alarm = env.alarm();
  let shortest = WAIT_MS_MIN;
  let armed;

  // Doubled each time, the pause is over soon after whatever was in the way has gone, and has asked a few times only.
  function soon(renew, wait = 0) {
    if (armed) alarm(Math.max(wait, shortest), renew);
    shortest *= 2;
  }

  return {
    /** Nothing is renewed until a sig has been taken again. */
    stop() {
      armed = false;
      alarm();
    },

    /** Calls `renew` in time for a sig that was made for `life`, where that is known, and has `left` by this machine's clock. */
    begin(life = NaN, left, renew) {
      armed = true;
      const wait = PART * (left <= life * BELIEVED_PART || left > life ? life : left);
      if (wait >= SHORT_MS || wait > (PART * life) / 2) {
        shortest = WAIT_MS_MIN;
        return alarm(Math.min(WAIT_MS_MAX, wait), renew);
      }
      if (shortest > WAIT_MS_MIN) emit(EVENT.ERROR, new Error('An old UserSig, or a clock ahead.'));
      soon(renew, wait);
    },

    /** It failed, and is tried again: ever more seldom. */
    again: soon,
  };
}
