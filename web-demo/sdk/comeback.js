// Whether to come back after a connection has ended, and when. Pure: chance comes in.

const FIRST_MS = 500;
const MOST_MS = 15_000;
const PENALTY_MS = 5_000;
const HINT_MS_MAX = 300_000;

/**
 * The pause in milliseconds, or null for "not by yourself", and whether the server asked for it. `attempt` counts failures
 * in a row, from 0; `random` gives a number from 0 up to 1.
 */
export function comeback(code, reason, attempt, random) {
  if (code >= 4500 && code <= 4999) return { pause: null };
  const hint = code === 1012 && hinted(reason);
  if (hint) return { pause: hint.after + random() * hint.spread, asked: true };
  const jitter = random() * Math.min(MOST_MS, FIRST_MS * 2 ** attempt);
  const asked = code === 4010 || code === 1013;
  return { pause: jitter + (asked ? PENALTY_MS : 0), asked };
}

function hinted(reason) {
  try {
    const { after, spread = 0 } = JSON.parse(reason);
    if (after >= 0 && spread >= 0) return { after: Math.min(after, HINT_MS_MAX), spread: Math.min(spread, HINT_MS_MAX) };
  } catch {
    // Not a hint.
  }
  return null;
}
