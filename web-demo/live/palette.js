// The colours of each room's night, and where things stand on its stage. Pure.

const NIGHTS = [
  { sky: ['#0b0620', '#2a0f4f', '#7a1f6e'], sun: ['#ffd27d', '#ff5f8f', '#8a2be2'], left: '#ff4d9d', right: '#4dd7ff', aurora: ['#7b5cff', '#ff4d9d', '#35d0ff'] },
  { sky: ['#031318', '#07323a', '#0f6a63'], sun: ['#d8ff8f', '#3fe0a5', '#0d7fb8'], left: '#5dffb8', right: '#7ab8ff', aurora: ['#2fe6a8', '#35b8ff', '#b6ff5c'] },
  { sky: ['#14081a', '#4a1330', '#a63a2a'], sun: ['#fff0a8', '#ffab4d', '#e0314f'], left: '#ffb84d', right: '#ff6f91', aurora: ['#ff7a4d', '#ffd166', '#ff4d7d'] },
  { sky: ['#060a22', '#15246b', '#3b4bb8'], sun: ['#e0f2ff', '#7aa8ff', '#5b3fd6'], left: '#8ab4ff', right: '#d08bff', aurora: ['#5c7cff', '#8f5cff', '#4dd7ff'] },
];

/** The night of the room with this place in the list. */
export const night = (place) => NIGHTS[Math.max(0, place) % NIGHTS.length];

/** Where things stand on a picture of this size, in pixels of it. */
export function places(width, height) {
  const tall = height > width;
  const middle = width * (tall ? 0.5 : 0.53);
  const floor = height * (tall ? 0.66 : 0.8);
  const unit = tall ? Math.min(height * 0.46, width * 1.02) : height * 0.68;
  return { width, height, tall, middle, floor, unit, sun: { x: middle, y: floor - unit * 0.6, radius: unit * 0.47 }, truss: height * (tall ? 0.11 : 0.05) };
}

/** The same numbers from 0 to 1 in each run, so that a picture does not jump when it is drawn anew. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The colour `#rrggbb` with an opacity from 0 to 1. */
export function veil(colour, opacity) {
  const part = (at) => Number.parseInt(colour.slice(at, at + 2), 16);
  return `rgb(${part(1)} ${part(3)} ${part(5)} / ${opacity})`;
}
