// Who listens to what, and what is said on the console. A listener's own fault is reported as an uncaught error and stops
// nobody else.

import { EVENT } from './names.js';

// The vendor's levels: 2 is for warnings, and there is nothing lower here.
const WARNINGS = 2;

export function makeListeners() {
  let entries = [];
  let level = 0;

  function warn(text) {
    if (level <= WARNINGS) console.warn(`tallycast: ${text}`);
  }

  function off(name, handler, context) {
    entries = entries.filter((entry) => entry.name !== name || entry.handler !== handler || entry.context !== context);
  }

  return {
    off,

    /** Nothing below this level is said on the console. */
    setLogLevel(lowest) {
      level = lowest;
    },

    /** Takes the vendor's plugins, which carry files and other things that there are not here. */
    registerPlugin: () => warn('plugins are ignored'),

    on(name, handler, context, once) {
      if (!Object.values(EVENT).includes(name)) warn(`there is no event ${name}`);
      // The same one twice is the same one: a development double-mount must not be told everything twice.
      off(name, handler, context);
      entries.push({ name, handler, context, once });
    },

    emit(name, data) {
      for (const { handler, context, once } of entries.filter((entry) => entry.name === name)) {
        if (once) off(name, handler, context);
        try {
          handler.call(context, { name, data });
        } catch (fault) {
          queueMicrotask(() => {
            throw fault;
          });
        }
      }
    },

    clear() {
      entries = [];
    },
  };
}
