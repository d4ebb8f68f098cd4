// What is said in words: a notice for what just happened, and a summary at a calm pace for those who listen to the page.

import { digits, THINGS } from './things.js';

const SUMMARY_EVERY_MS = 10_000;
const NOTICE_MS = 6_000;

const words = ({ one, many }, count) => (count === 1n ? `1 ${one.toLowerCase()}` : `${digits(count)} ${many}`);

/** `look()` gives `{ room, viewers }` for the summary; `room` may be null. */
export function makeVoice(notice, summary, look) {
  let clearing;

  setInterval(() => {
    const { room, viewers } = look();
    if (!room?.known) return;
    const parts = THINGS.filter(({ key }) => room.tallies.has(key)).map((thing) => words(thing, room.tallies.get(thing.key).look()));
    if (viewers !== null) parts.push(`${digits(viewers)} watching`);
    const text = parts.join(', ');
    if (text && summary.textContent !== text) summary.textContent = text;
  }, SUMMARY_EVERY_MS);

  return {
    /** `kind`: `bad` for what went wrong, `kept` for what waits (it stays until `settle`). */
    notice(text, kind = '') {
      clearTimeout(clearing);
      notice.textContent = text;
      notice.dataset.kind = kind;
      if (kind !== 'kept') clearing = setTimeout(() => this.settle(kind), NOTICE_MS);
    },

    /** Takes the notice of this kind away. */
    settle(kind) {
      if (notice.dataset.kind === kind) notice.textContent = '';
    },
  };
}
