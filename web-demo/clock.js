// The one clock of this page: precise, and never standing still.

const DRIFT_MS = 1_000;
let ahead = Date.now() - performance.now();
let slept = 0;

/** Milliseconds since some moment, only ever growing unless the wall clock is set. */
export function now() {
  // The precise clock stops while some machines sleep. A write that slept must still grow old, so the sleep is added.
  const more = Date.now() - performance.now() - ahead;
  if (more > DRIFT_MS) {
    ahead += more;
    slept += more;
  }
  return performance.now() + slept;
}
