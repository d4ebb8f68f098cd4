// The state of the connection, in words and with a button where a person can help.

const WORDS = {
  connecting: 'Connecting',
  connected: 'Connected',
  waiting: 'Connection lost',
  stopped: 'Stopped',
};
const TICK_MS = 250;

const byID = (id) => document.getElementById(id);

/** `onTryNow()` for a press of the button. */
export function makeLink(onTryNow) {
  let dueAt = 0;
  byID('try-now').addEventListener('click', onTryNow);

  function countdown() {
    const left = Math.max(0, dueAt - performance.now());
    byID('link-wait').textContent = left > 0 ? `back in ${Math.ceil(left / 1000)} s` : '';
  }

  setInterval(countdown, TICK_MS);

  return {
    /** `state` is one of the words above; `why` a sentence; `retryIn` milliseconds. */
    show(state, { why, retryIn = 0 } = {}) {
      const link = byID('link');
      link.dataset.state = state;
      link.title = why ?? '';
      byID('link-text').textContent = state === 'stopped' && why ? `${WORDS[state]}: ${why}` : WORDS[state];
      byID('try-now').hidden = state !== 'waiting' && state !== 'stopped';
      dueAt = performance.now() + retryIn;
      countdown();
    },
  };
}
