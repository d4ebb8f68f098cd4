// Who listens to what. A listener's own fault is reported as an uncaught error and stops nobody else.

export class Listeners {
  #entries = [];

  on(name, handler, context, once) {
    // The same one twice is the same one: a development double-mount must not be told everything twice.
    this.off(name, handler, context);
    this.#entries = [...this.#entries, { name, handler, context, once }];
  }

  off(name, handler, context) {
    this.#entries = this.#entries.filter((entry) => entry.name !== name || entry.handler !== handler || entry.context !== context);
  }

  emit(name, data) {
    for (const { name: wanted, handler, context, once } of this.#entries) {
      if (wanted !== name) continue;
      if (once) this.off(name, handler, context);
      try {
        handler.call(context, { name, data });
      } catch (fault) {
        queueMicrotask(() => {
          throw fault;
        });
      }
    }
  }

  clear() {
    this.#entries = [];
  }
}
