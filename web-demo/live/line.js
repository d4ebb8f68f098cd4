// The wire between this page and the gateway, with a window and a pair of scissors: each frame can be looked at, and the
// network can be cut. No frame that leaves this file shows a UserSig.

const SIG = /("userSig"\s*:\s*")(?:[^"\\]|\\.)*"/g;

/** The text of a frame as it may be shown. */
export const masked = (text) => text.replace(SIG, '$1•••"');

/**
 * `frame(direction, text)` sees each frame, `in` or `out`. Gives a class to be used in place of WebSocket, and the switch.
 */
export function makeLine({ frame, WebSocket = globalThis.WebSocket }) {
  const ends = new Set();
  let isCut = false;

  class Line {
    onopen = null;
    onmessage = null;
    onerror = null;
    onclose = null;
    #inner = null;
    #over = false;

    constructor(url) {
      const end = () => this.#end({ code: 1006, reason: '' });
      if (isCut) {
        setTimeout(end);
        return;
      }
      const inner = new WebSocket(url);
      this.#inner = inner;
      ends.add(end);
      inner.onopen = () => this.#over || this.onopen?.();
      inner.onerror = () => this.#over || this.onerror?.();
      inner.onmessage = ({ data }) => {
        if (this.#over) return;
        frame('in', masked(data));
        this.onmessage?.({ data });
      };
      inner.onclose = (close) => {
        ends.delete(end);
        this.#end(close);
      };
    }

    get readyState() {
      return this.#over || !this.#inner ? WebSocket.CLOSED : this.#inner.readyState;
    }

    send(text) {
      if (this.#over) return;
      frame('out', masked(text));
      this.#inner.send(text);
    }

    close(...why) {
      this.#inner?.close(...why);
    }

    // A cut wire says nothing more, even where the socket below still has something to say.
    #end(close) {
      if (this.#over) return;
      this.#over = true;
      this.#inner?.close();
      this.onclose?.(close);
    }
  }

  return {
    WebSocket: Line,
    get isCut() {
      return isCut;
    },
    cut(yes) {
      isCut = yes;
      if (!yes) return;
      for (const end of [...ends]) end();
      ends.clear();
    },
  };
}
