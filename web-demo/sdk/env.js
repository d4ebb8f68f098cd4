// The world outside, as far as the SDK needs it: the one place that touches globals.

/** What `options.env` replaces in tests. */
export function environment(given) {
  return {
    WebSocket: globalThis.WebSocket,
    setTimeout: (call, ms) => setTimeout(call, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    now: steadyClock(),
    random: Math.random,
    window: globalThis.window,
    document: globalThis.document,
    ...given,
  };
}

// The precise clock stops while some machines sleep, and a write that slept must still grow old. So this is the wall clock,
// kept from going back.
function steadyClock() {
  let last = 0;
  let ahead = 0;
  return () => {
    ahead = Math.max(ahead, last - Date.now());
    last = Date.now() + ahead;
    return last;
  };
}

/** The address of the socket: this page's own host where none is given. */
export function socketURL(url = '/ws') {
  return new URL(url, globalThis.location?.href).href.replace(/^http/, 'ws');
}

/** The beginning of this instance's operation ids. `crypto.randomUUID` is not there on plain http. */
export function randomName() {
  return [...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join('');
}
