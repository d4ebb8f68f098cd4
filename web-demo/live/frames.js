// The one loop that paints: while motion is welcome it runs with the screen, otherwise once after each change. Nothing else on
// the page asks for animation frames.

const SLOW = matchMedia('(prefers-reduced-motion: reduce)');
const GAP_MS_MAX = 100;

/** True where the viewer asked for no motion. */
export const still = () => SLOW.matches;

/** `paint(now, gap)`: milliseconds of the page's clock, and since the frame before (at most 100). */
export function makeFrames(paint) {
  let asked = false;
  let last = performance.now();

  function frame(now) {
    asked = false;
    const gap = Math.min(Math.max(now - last, 0), GAP_MS_MAX);
    last = now;
    paint(now, gap);
    if (!still()) wake();
  }

  function wake() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(frame);
  }

  SLOW.addEventListener('change', wake);
  return { wake };
}
