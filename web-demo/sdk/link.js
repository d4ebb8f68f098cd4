// One connection after the other: opens, notices when the line is dead, comes back when it may. It knows sockets and time,
// and no frame.

import { comeback } from './comeback.js';

const PING_EVERY_MS = 15_000;
const PONG_MS_MAX = 10_000;
const WAKE_PONG_MS_MAX = 5_000;
const STEADY_AFTER_MS = 5_000;

export class Link {
  #url;
  #env;
  #timeout;
  #on;
  #wanted = false;
  #turn = 0;
  #socket = null;
  #timer = null;
  #pausing = false;
  #asked = false;
  #attempt = 0;
  #readyAt = null;
  #heardAt = 0;
  #checking = false;

  /**
   * `on`: `before()` is awaited and may throw; `up(send, current)` when the socket is open, where `current()` says whether
   * it still is the one; `text(data)`; `ping(limit)` resolves to the pong; `connecting()`; `down({ code, message, retryIn })`.
   */
  constructor(url, env, timeout, on) {
    this.#url = url;
    this.#env = env;
    this.#timeout = timeout;
    this.#on = on;
  }

  open() {
    this.#wanted = true;
    this.#attempt = 0;
    this.#connect();
  }

  /** Ends it for good, until `open`. */
  shut() {
    this.#wanted = false;
    this.#drop();
  }

  /** The connection is of use now: from here on it is watched. */
  ready() {
    this.#readyAt = this.#env.now();
    this.#watch();
  }

  /** Gives this connection up, and comes back as after a lost one. */
  fail(message) {
    this.#lost(1006, '', message);
  }

  /** Ends a pause now. */
  now() {
    if (this.#pausing) this.#connect();
  }

  /** The page is back, or the network has changed: the line may be dead without anybody having said so. */
  wake(offline) {
    if (this.#readyAt !== null) this.#check(WAKE_PONG_MS_MAX);
    else if (!this.#asked && !offline) this.now();
  }

  async #connect() {
    this.#drop();
    const turn = this.#turn;
    const current = () => turn === this.#turn;
    this.#after(this.#timeout, () => this.fail('The gateway did not answer in time.'));
    this.#on.connecting();
    try {
      await this.#on.before();
      if (!current()) return;
      const socket = new this.#env.WebSocket(this.#url);
      this.#socket = socket;
      socket.onopen = () => this.#on.up((text) => socket.send(text), current);
      socket.onmessage = ({ data }) => {
        this.#heardAt = this.#env.now();
        this.#on.text(data);
      };
      socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    } catch (fault) {
      if (current()) this.fail(fault.message);
    }
  }

  #lost(code, reason, message) {
    if (!this.#wanted) return;
    if (this.#readyAt !== null && this.#env.now() - this.#readyAt > STEADY_AFTER_MS) this.#attempt = 0;
    this.#drop();
    const { pause, asked } = comeback(code, reason, this.#attempt, this.#env.random);
    this.#attempt += 1;
    this.#asked = asked;
    this.#wanted = pause !== null;
    if (this.#wanted) {
      this.#pausing = true;
      this.#after(pause, () => this.#connect());
    }
    const words = code === 1012 ? 'The gateway is restarting.' : reason || 'The connection was lost.';
    this.#on.down({ code, message: message ?? words, retryIn: pause });
  }

  // A dead line may take minutes to close: its end is declared here, and what it still says no longer counts.
  #drop() {
    const socket = this.#socket;
    this.#turn += 1;
    this.#env.clearTimeout(this.#timer);
    this.#socket = this.#readyAt = null;
    this.#pausing = this.#checking = false;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    // Closing before it is open would be an error on the console of each development double-mount.
    socket.onopen = () => socket.close();
    if (socket.readyState === 1) socket.close();
  }

  #watch() {
    this.#after(PING_EVERY_MS, () => this.#check(PONG_MS_MAX));
  }

  // Browsers answer the gateway's pings by themselves and tell nobody, so this side asks, too.
  async #check(limit) {
    if (this.#checking) return;
    this.#checking = true;
    const [turn, at] = [this.#turn, this.#env.now()];
    const alive = await this.#on.ping(limit).then(() => true, () => this.#heardAt > at);
    if (turn !== this.#turn) return;
    this.#checking = false;
    if (alive) this.#watch();
    else this.fail('The line went silent.');
  }

  #after(ms, call) {
    this.#env.clearTimeout(this.#timer);
    this.#timer = this.#env.setTimeout(call, ms);
  }
}
