// The state of the connection and the figures beside the room. It only writes text nodes, and paints at most once a frame.

const FRAMES_MAX = 12;
const FRAME_CHARS_MAX = 400;
const STATES = {
  connecting: () => 'Connecting',
  ready: () => 'Connected',
  waiting: ({ why, after }) => `${why} Back in ${seconds(after)}`,
  stopped: ({ why }) => `${why} Not coming back by itself`,
};

const byID = (id) => document.getElementById(id);

export class Panel {
  #figures = { ack: '–', trip: '–', pushes: 0, confirmed: 0, waiting: 0 };
  #frames = [];
  #paint = null;

  constructor({ onTryNow }) {
    byID('try-now').addEventListener('click', onTryNow);
  }

  state(name, detail = {}) {
    byID('link').dataset.state = name;
    byID('link-text').textContent = STATES[name](detail);
    byID('try-now').hidden = name !== 'waiting' && name !== 'stopped';
  }

  ack(ms) {
    this.#set('ack', milliseconds(ms));
  }

  roundTrip(ms) {
    this.#set('trip', milliseconds(ms));
  }

  pushed() {
    this.#set('pushes', this.#figures.pushes + 1);
  }

  confirmed() {
    this.#set('confirmed', this.#figures.confirmed + 1);
  }

  waiting(count) {
    this.#set('waiting', count);
  }

  /** Adds a frame, already without anything secret, to the log. */
  frame(direction, text) {
    const cut = text.length > FRAME_CHARS_MAX ? `${text.slice(0, FRAME_CHARS_MAX)}…` : text;
    this.#frames.unshift({ direction, text: cut, at: new Date() });
    this.#frames.length = Math.min(this.#frames.length, FRAMES_MAX);
    this.#soon();
  }

  #set(name, value) {
    if (this.#figures[name] === value) return;
    this.#figures[name] = value;
    this.#soon();
  }

  #soon() {
    this.#paint ??= requestAnimationFrame(() => {
      this.#paint = null;
      for (const [name, value] of Object.entries(this.#figures)) byID(`stat-${name}`).textContent = value;
      if (byID('log-box').open) byID('log').replaceChildren(...this.#frames.map(line));
    });
  }
}

function line({ direction, text, at }) {
  const item = document.createElement('li');
  item.dataset.direction = direction;
  const time = document.createElement('time');
  time.textContent = at.toTimeString().slice(0, 8);
  const way = document.createElement('span');
  way.className = 'way';
  way.textContent = direction === 'out' ? 'sent' : 'got';
  const code = document.createElement('code');
  for (const piece of text.split(/(?<=,)/)) code.append(piece, document.createElement('wbr'));
  item.append(time, way, code);
  return item;
}

function milliseconds(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}
