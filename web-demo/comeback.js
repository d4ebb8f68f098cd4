// Whether to come back after a connection has ended, and when. Pure: chance comes in as an argument.

const FIRST_PAUSE_MS = 500;
const PAUSE_MS_MAX = 15_000;
const TOO_FAST_PAUSE_MS = 5_000;
const ASKED_PAUSE_MS_MAX = 60_000;

const WHY = {
  1001: 'The server is going away.',
  1006: 'The connection was lost.',
  1012: 'The server is restarting.',
  1013: 'The server is busy.',
  4000: 'This page was reading too slowly.',
  4001: 'The server heard nothing from this page for too long.',
  4004: 'The login took too long.',
  4010: 'This page was sending too fast.',
  4500: 'The server refused the login.',
  4501: 'The signature of this viewer has run out.',
  4503: 'This viewer has too many connections open, so the oldest one was closed.',
  4504: 'An administrator has disconnected this viewer.',
};

/**
 * What to do after a close: `{ again: true, after }` in milliseconds, or `{ again: false }`, both with `why` in words.
 * `attempt` counts the failures in a row, from 0; `random` gives a number from 0 up to 1.
 */
export function comeback(code, reason, attempt, random = Math.random) {
  const why = WHY[code] ?? `The connection was closed (${code}).`;
  if (code >= 4500 && code <= 4999) return { again: false, why };
  const asked = code === 1012 ? askedPause(reason) : null;
  if (asked) return { again: true, why, after: Math.round(asked.after + random() * asked.spread) };
  const floor = code === 4010 ? TOO_FAST_PAUSE_MS : 0;
  return { again: true, why, after: floor + fullJitter(attempt, random) };
}

/** A pause anywhere between nothing and a bound that doubles: a crowd that lost its server comes back spread out. */
export function fullJitter(attempt, random = Math.random) {
  const bound = Math.min(PAUSE_MS_MAX, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 20));
  return Math.round(random() * bound);
}

function askedPause(reason) {
  try {
    const { after, spread = 0 } = JSON.parse(reason);
    return isPause(after) && isPause(spread) ? { after, spread } : null;
  } catch {
    return null;
  }
}

function isPause(ms) {
  return Number.isFinite(ms) && ms >= 0 && ms <= ASKED_PAUSE_MS_MAX;
}
