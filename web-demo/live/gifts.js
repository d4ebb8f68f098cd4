// The lanes of gifts: who gives what, ×N while it goes on, and a last word when the combo is over. A bounded few at a time.

import { Combo } from './combo.js';
import { still } from './frames.js';
import { digits } from './things.js';

const LANES_MAX = 3;
const LAST_WORD_MS = 1_400;

/** The name of the viewer himself, whose lanes give way last. */
export const OWN = 'You';

/** Shows lanes in `list`. */
export function makeGifts(list) {
  const lanes = new Map();

  function open(name, who, gift) {
    if (lanes.size >= LANES_MAX) close([...lanes.keys()].find((each) => lanes.get(each).who !== OWN) ?? lanes.keys().next().value);
    const item = document.createElement('li');
    item.dataset.key = gift.key;
    item.dataset.who = who;
    const text = document.createElement('span');
    text.textContent = `${who} · ${gift.one}`;
    const times = document.createElement('b');
    item.append(text, times);
    list.append(item);
    const lane = { who, item, times, combo: new Combo(), over: null };
    lanes.set(name, lane);
    return lane;
  }

  function close(name) {
    lanes.get(name).item.remove();
    lanes.delete(name);
  }

  function finish(lane, now) {
    lane.over = now;
    if (lane.combo.count === 1n) return;
    lane.item.dataset.over = '';
    lane.times.textContent = `×${digits(lane.combo.count)} combo!`;
  }

  return {
    /** `amount` (a BigInt) of a gift was given by `who`. */
    give(who, gift, amount, now) {
      const name = `${who} ${gift.key}`;
      if (lanes.get(name)?.over != null) close(name);
      const lane = lanes.get(name) ?? open(name, who, gift);
      lane.times.textContent = `×${digits(lane.combo.hit(amount, now))}`;
      if (!still()) lane.times.animate([{ transform: 'scale(1.55)' }, { transform: 'none' }], { duration: 260, easing: 'cubic-bezier(.2, 1.6, .4, 1)' });
    },

    clear() {
      for (const name of [...lanes.keys()]) close(name);
    },

    /** Ends what is over. */
    tick(now) {
      for (const [name, lane] of lanes) {
        if (lane.over === null && lane.combo.over(now)) finish(lane, now);
        else if (lane.over !== null && now - lane.over > LAST_WORD_MS) close(name);
      }
    },
  };
}
