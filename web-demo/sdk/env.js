// The world outside, as far as the SDK needs it: the one place that touches globals.

import { ChatError, WRONG_FIELD } from './names.js';

/** What `options.env` replaces in tests; and `alarm()`, a timer that is set anew by `(ms, call)` and cleared by `()`. */
export function environment(given) {
  const env = {
    WebSocket: globalThis.WebSocket,
    window: globalThis.window,
    document: globalThis.document,
    setTimeout: (call, ms) => setTimeout(call, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    now: steadyClock(),
    random: Math.random,
    ...given,
  };
  env.alarm = () => {
    let timer;
    return (ms, call) => {
      env.clearTimeout(timer);
      timer = call && env.setTimeout(call, ms);
    };
  };
  return env;
}

// The precise clock stops while some machines sleep, and a write that slept must still grow old. So this is the wall clock,
// kept from going back.
function steadyClock() {
  let last = 0;
  let ahead = 0;
  return () => {
    const now = Date.now();
    ahead = Math.max(ahead, last - now);
    last = now + ahead;
    return last;
  };
}

/** Calls with the reason when `signal` is aborted; throws where it has been. Returns what ends the waiting. */
export function onAbort(signal, call) {
  signal?.throwIfAborted();
  const heard = () => call(signal.reason);
  signal?.addEventListener('abort', heard);
  return () => signal?.removeEventListener('abort', heard);
}

/** The address of the socket: this page's own host where none is given. */
export function socketURL({ url, proxyServer = '/ws' }) {
  try {
    return new URL(url ?? proxyServer, globalThis.location).href.replace(/^http/, 'ws');
  } catch {
    throw new ChatError(WRONG_FIELD, 'url must be like wss://host/ws here.');
  }
}

/** The beginning of this instance's operation ids. `crypto.randomUUID` is not there on plain http. */
export const randomName = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
