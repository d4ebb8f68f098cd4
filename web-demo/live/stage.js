// The moving picture of the stage, drawn on one canvas. What happens in the room drives it: growth makes energy, energy makes
// light. It knows no counter and no socket.

import { backdrop } from './backdrop.js';
import { makeCrowd } from './crowd.js';
import { still } from './frames.js';
import { makeLights } from './lights.js';
import { night as nightOf, places } from './palette.js';
import { performer } from './performer.js';
import { Quality } from './quality.js';

const BEATS_PER_SECOND = 1.97;
const PIXEL_RATIO_MAX = 1.5;
// The growth in a second that fills half of the energy.
const HALF_GROWTH = 30;
const ENERGY_FADES_MS = 900;
// The one moment of the show that is drawn where no motion is wanted.
const STILL = { time: 3.4, energy: 0.45, pulse: 0.4, viewers: 30 };

/** Draws on `canvas`, which fills its parent. */
export function makeStage(canvas) {
  const pen = canvas.getContext('2d', { alpha: false });
  const quality = new Quality();
  let night = nightOf(0);
  let set = null;
  let frame = 0;
  let growth = 0;
  let viewers = 0;

  function build() {
    const { width, height } = canvas.getBoundingClientRect();
    if (width < 2 || height < 2) return;
    const share = Math.min(devicePixelRatio, PIXEL_RATIO_MAX) * quality.grade.scale;
    canvas.width = Math.round(width * share);
    canvas.height = Math.round(height * share);
    const place = places(canvas.width, canvas.height);
    const ground = new OffscreenCanvas(canvas.width, canvas.height);
    backdrop(ground.getContext('2d', { alpha: false }), place, night);
    set = { place, ground, lights: makeLights(place, night), crowd: makeCrowd(place, night) };
  }

  function draw(seconds) {
    const show = still() ? STILL : {
      time: seconds,
      energy: growth / (growth + HALF_GROWTH),
      pulse: Math.exp(-3.2 * ((seconds * BEATS_PER_SECOND) % 1)),
      viewers,
    };
    pen.drawImage(set.ground, 0, 0);
    set.lights.draw(pen, show);
    performer(pen, set.place, night, show);
    set.crowd.draw(pen, show);
  }

  new ResizeObserver(() => {
    set = null;
  }).observe(canvas);

  return {
    /** Something in the room grew by so much. */
    grow(count) {
      growth = Math.min(growth + count, 1_000);
    },

    /** Changes the colours of the night: those of the room at this place in the list. */
    turnTo(place) {
      night = nightOf(place);
      set = null;
    },

    watch(count) {
      viewers = count;
    },

    /** Paints where it is time to. `gap`: milliseconds since the frame before. */
    paint(now, gap) {
      growth *= Math.exp(-gap / ENERGY_FADES_MS);
      if (!still() && quality.frame(gap)) set = null;
      if (!set) build();
      frame += 1;
      if (set && (still() || frame % quality.grade.every === 0)) draw(now / 1000);
    },
  };
}
