// Whether to come back after a connection has ended, and when. Pure: chance comes in.

const FIRST_MS = 500;
const MOST_MS = 15_000;
const PENALTY_MS = 5_000;
const HINT_MS_MAX = 300_000;
const RAN_OUT = 4501;

/**
 * The pause in milliseconds, or null for "not by yourself", and whether the server asked for it. `attempt` counts failures
 * in a row, from 0; `random` gives a number from 0 up to 1; `renews`: whoever comes back has a new UserSig with them.
 */
export function comeback(code, reason, attempt, random, renews) {
  if (code >= 4500 && !(renews && code === RAN_OUT)) return { pause: null };
  const hint = code === 1012 ? hinted(reason, random()) : NaN;
  if (hint >= 0) return { pause: Math.min(hint, HINT_MS_MAX), asked: true };
  const asked = code === 4010 || code === 1013;
  return { pause: asked * PENALTY_MS + random() * Math.min(MOST_MS, FIRST_MS * 2 ** attempt), asked };
}

// What is no hint gives something that is no number of milliseconds.
function hinted(reason, chance) {
  try {
    const { after, spread } = JSON.parse(reason);
    return Math.min(after, spread) < 0 ? NaN : after + chance * spread;
  } catch {
    return undefined;
  }
}
