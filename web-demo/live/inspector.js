// The newest frames of the wire, as they were. They come here with nothing secret in them. Text nodes only.

const FRAMES_MAX = 40;
const CHARS_MAX = 400;

/** Shows frames in `list`; `hold` is a button that keeps them still. */
export function makeInspector(list, hold) {
  const frames = [];
  let held = false;
  let changed = false;

  hold.addEventListener('click', () => {
    held = !held;
    hold.setAttribute('aria-pressed', String(held));
  });

  function line({ direction, text, at }) {
    const item = document.createElement('li');
    item.dataset.direction = direction;
    const time = document.createElement('time');
    time.textContent = `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, '0')}`;
    const way = document.createElement('span');
    way.className = 'way';
    way.textContent = direction === 'out' ? 'sent' : 'got';
    const code = document.createElement('code');
    code.textContent = text;
    item.append(time, way, code);
    return item;
  }

  return {
    frame(direction, text) {
      if (held) return;
      frames.unshift({ direction, text: text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)}…` : text, at: new Date() });
      frames.length = Math.min(frames.length, FRAMES_MAX);
      changed = true;
    },

    paint() {
      if (!changed) return;
      changed = false;
      list.replaceChildren(...frames.map(line));
    },
  };
}
