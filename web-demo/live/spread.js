// When the hearts of a growth rise: as many as the number grew, evenly over the time in which it did, within bounds. Pure.

export const BURST_MAX = 80;
export const ALIVE_MAX = 350;
const INTERVAL_MS_MAX = 1_200;

/**
 * Delays in milliseconds, one for each thing that is to rise. `grown` is a BigInt; `interval` the milliseconds since the
 * number last grew; `alive` counts what rises already or waits to.
 */
export function spread(grown, interval, alive) {
  const room = Math.max(0, Math.min(BURST_MAX, ALIVE_MAX - alive));
  const count = grown > BigInt(room) ? room : Number(grown > 0n ? grown : 0n);
  const over = Math.min(Math.max(interval, 0), INTERVAL_MS_MAX);
  return Array.from({ length: count }, (_, index) => (index / count) * over);
}
