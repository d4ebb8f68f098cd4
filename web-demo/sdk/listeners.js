// Who listens to what. A listener's own fault is reported as an uncaught error and stops nobody else.

export function makeListeners() {
  let entries = [];

  function off(name, handler, context) {
    entries = entries.filter((entry) => entry.name !== name || entry.handler !== handler || entry.context !== context);
  }

  return {
    off,

    on(name, handler, context, once) {
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
