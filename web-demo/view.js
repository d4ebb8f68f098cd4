// What the visitor sees of rooms and counters. It only writes text nodes, and paints at most once a frame.

const calm = matchMedia('(prefers-reduced-motion: reduce)');
const digits = new Intl.NumberFormat('en');
const NAMES = { like: 'Likes', gift: 'Gifts', viewers: 'Viewers' };
const SIZES = [[5, 'plain'], [9, 'long'], [14, 'wide'], [Infinity, 'huge']];
const SUMMARY_EVERY_MS = 6_000;

export const KINDS = {
  AVChatRoom: { badge: 'Live', words: 'A live room. Anyone may join, and leaves when the connection closes.' },
  ChatRoom: { badge: 'Meeting', words: 'A meeting room. Anyone may join, and stays a member.' },
  Public: { badge: 'Public', words: 'A public group. It decides for itself whether anyone may join.' },
  Private: { badge: 'Private', words: 'A private group. Only its members get in.' },
};

const byID = (id) => document.getElementById(id);

export function format(value) {
  return digits.format(value).replace('-', '−');
}

/** `onChoose(groupID)` and `onWrite({ cmd, key, value })` are called for clicks that may be made. */
export class View {
  #tiles = new Map();
  #rooms = '';
  #shownRoom = null;
  #paint = null;
  #pause = null;
  #allowed = false;
  #summary = '';

  constructor({ onChoose, onWrite }) {
    byID('rooms').addEventListener('click', (click) => {
      const button = click.target.closest('button');
      if (button) onChoose(button.dataset.group);
    });
    byID('actions').addEventListener('click', (click) => {
      const button = click.target.closest('button');
      if (!button || button.getAttribute('aria-disabled') === 'true') return;
      onWrite({ cmd: button.dataset.cmd, key: button.dataset.key, value: Number(button.dataset.value) });
    });
    setInterval(() => this.#tell(), SUMMARY_EVERY_MS);
  }

  viewer(userID) {
    byID('me').textContent = userID;
  }

  /** Draws the list of rooms; `groups` is that of the session. */
  rooms(groups) {
    const drawn = JSON.stringify(groups);
    if (drawn === this.#rooms) return;
    this.#rooms = drawn;
    byID('rooms').replaceChildren(...groups.map((group) => {
      const button = element('button', { type: 'button' });
      button.dataset.group = group.groupID;
      const badge = element('span', { className: 'badge', textContent: KINDS[group.type]?.badge ?? group.type });
      if (group.type === 'Private') badge.prepend(icon('lock'));
      button.append(element('span', { className: 'name', textContent: group.name }), badge);
      const item = element('li');
      item.append(button);
      return item;
    }));
  }

  /** Turns to another room; its counters follow with `counters`. */
  turnTo(group) {
    byID('room-name').textContent = group.name;
    byID('room-kind').textContent = KINDS[group.type]?.words ?? group.type;
    document.title = `${group.name} · Tallycast demo`;
    for (const button of byID('rooms').querySelectorAll('button')) {
      if (button.dataset.group === group.groupID) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
    this.notice('');
  }

  /** Draws the counters of a Room soon, the newest state of it at that moment; `empty` is said when there is none. */
  counters(room, empty) {
    if (this.#paint !== null) cancelAnimationFrame(this.#paint);
    this.#paint = requestAnimationFrame(() => {
      this.#paint = null;
      this.#draw(room, empty);
    });
  }

  /** Whether clicks count at this moment. The buttons keep the focus: they are marked, not taken away. */
  allow(allowed) {
    this.#allowed = allowed;
    const off = String(!allowed || this.#pause !== null);
    for (const button of byID('actions').querySelectorAll('button')) {
      if (button.getAttribute('aria-disabled') !== off) button.setAttribute('aria-disabled', off);
    }
  }

  /** Takes the buttons away for `ms` and says why, with how long. */
  slowDown(ms, why) {
    const box = byID('actions');
    box.style.setProperty('--pause', `${ms}ms`);
    box.dataset.slow = 'true';
    this.notice(`${why}: again in ${format(Math.ceil(ms))} ms. Your click is kept and goes out then.`, 'slow');
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#pause = null;
      delete box.dataset.slow;
      this.settle('slow');
      this.allow(this.#allowed);
    }, ms);
    this.allow(this.#allowed);
  }

  notice(text, kind = 'info') {
    const notice = byID('notice');
    notice.textContent = text;
    notice.dataset.kind = kind;
  }

  /** Takes back a notice of this kind, and no other. */
  settle(kind) {
    if (byID('notice').dataset.kind === kind) this.notice('');
  }

  #draw(room, empty) {
    const other = this.#shownRoom !== room;
    this.#shownRoom = room;
    const counters = room.counters();
    const keys = new Set(counters.map(([key]) => key));
    for (const [key, tile] of this.#tiles) {
      if (keys.has(key) && !other) continue;
      tile.box.remove();
      this.#tiles.delete(key);
    }
    const list = byID('counters');
    counters.forEach(([key, value], at) => {
      const tile = this.#tiles.get(key) ?? this.#newTile(key);
      if (list.children[at] !== tile.box) list.insertBefore(tile.box, list.children[at] ?? null);
      tile.show(value);
    });
    byID('empty').textContent = counters.length === 0 ? empty : '';
  }

  #newTile(key) {
    const box = element('div', { className: 'tile' });
    box.dataset.key = key;
    const name = element('dt', { textContent: NAMES[key] ?? key });
    name.prepend(icon(key in NAMES ? key : 'tally'));
    const number = element('dd');
    const text = element('span', { className: 'number' });
    const step = element('span', { className: 'delta' });
    step.setAttribute('aria-hidden', 'true');
    number.append(text, step);
    box.append(name, number);
    const tile = { box, value: null, show: (value) => showValue(tile, text, step, value) };
    this.#tiles.set(key, tile);
    return tile;
  }

  // A screen reader hears the totals now and then, never every change.
  #tell() {
    const parts = [...this.#tiles].map(([key, { value }]) => `${NAMES[key] ?? key} ${format(value)}`);
    const summary = parts.join(', ');
    if (summary === this.#summary) return;
    this.#summary = summary;
    byID('summary').textContent = summary;
  }
}

function showValue(tile, text, step, value) {
  if (tile.value === value) return;
  const change = tile.value === null ? 0n : value - tile.value;
  tile.value = value;
  tile.box.dataset.value = String(value);
  const shown = format(value);
  text.textContent = shown;
  tile.box.dataset.size = SIZES.find(([chars]) => shown.length <= chars)[1];
  if (change === 0n || calm.matches) return;
  step.textContent = (change > 0n ? '+' : '') + format(change);
  step.animate([{ opacity: 1, translate: '0 0' }, { opacity: 0, translate: '0 -1.2em' }], { duration: 900, easing: 'ease-out' });
  text.animate([{ scale: 1.06 }, { scale: 1 }], { duration: 220, easing: 'ease-out' });
}

function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}
