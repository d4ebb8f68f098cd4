// A world for the SDK that stands still until a test moves it: a clock, sockets without a network, windows without a page.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { create } from '../../../web-demo/sdk/index.js';

const START = 1_800_000_000_000;

export class World {
  at = START;
  chance = 0;
  sockets = [];
  /** What is answered by itself: a command's name to what gives its data, or its code, for a frame. */
  auto = {};
  window = new EventTarget();
  document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  #timers = new Map();
  #lastTimer = 0;

  get env() {
    const world = this;
    return {
      WebSocket: class extends FakeSocket {
        constructor(url) {
          super(url, world);
          world.sockets.push(this);
        }
      },
      setTimeout: (call, ms) => {
        this.#lastTimer += 1;
        this.#timers.set(this.#lastTimer, { call, due: this.at + ms });
        return this.#lastTimer;
      },
      clearTimeout: (timer) => this.#timers.delete(timer),
      now: () => this.at,
      random: () => this.chance,
      window: this.window,
      document: this.document,
    };
  }

  get timers() {
    return this.#timers.size;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** Lets everything happen that needs no time. */
  async settle() {
    await nextTurn();
  }

  /** Moves the clock on, timer by timer. */
  async pass(ms) {
    const end = this.at + ms;
    await this.settle();
    for (;;) {
      const next = [...this.#timers].filter(([, { due }]) => due <= end).sort(([a, x], [b, y]) => x.due - y.due || a - b)[0];
      if (!next) break;
      this.#timers.delete(next[0]);
      this.at = Math.max(this.at, next[1].due);
      next[1].call();
      await this.settle();
    }
    this.at = end;
    await this.settle();
  }

  /** A machine that sleeps: time goes on, timers do not. */
  sleep(ms) {
    this.at += ms;
    for (const timer of this.#timers.values()) timer.due += ms;
  }

  /** A chat of this world, not logged in. */
  chat(options = {}) {
    return create({ apart: true, SDKAppID: 1, url: 'ws://fake/ws', env: this.env, ...options });
  }

  /** A chat that `ann` is logged in with, and all its events as `[name, data]`. */
  async ann(options) {
    const chat = this.chat(options);
    const events = [];
    for (const name of ['sdkStateReady', 'sdkStateNotReady', 'netStateChange', 'kickedOut', 'error', 'onGroupCounterUpdated', 'onGroupDismissed', 'onGroupMembershipChanged', 'onGroupUnsubscribed']) {
      chat.on(name, ({ data }) => events.push([name, data]));
    }
    const login = chat.login({ userID: 'ann', userSig: 'sig-1' });
    await this.admit();
    await login;
    events.length = 0;
    return { chat, events };
  }

  /** Opens the newest socket and lets its user in. Gives back the frames that come next. */
  async admit() {
    await this.settle();
    this.socket.open();
    await this.settle();
    this.socket.answer('login', { userID: 'ann', expiresAt: this.at / 1000 + 86_400, admin: false });
    await this.settle();
  }
}

class FakeSocket {
  readyState = 0;
  sent = [];
  #taken = 0;
  #world;

  constructor(url, world) {
    this.url = url;
    this.#world = world;
  }

  send(text) {
    if (this.readyState !== 1) throw new Error('not open');
    this.sent.push(text);
    const frame = JSON.parse(text);
    const { id, cmd } = frame;
    if (cmd in this.#world.auto) queueMicrotask(() => this.say({ id, ...outcome(this.#world.auto[cmd](frame)) }));
  }

  close(code = 1000) {
    this.closedWith = code;
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen?.({});
  }

  /** A handshake that fails: an error, and here no close after it. */
  refuse(event = {}) {
    this.readyState = 3;
    this.onerror?.(event);
  }

  /** What the gateway says. */
  say(frame) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }

  push(groupID, key, value, version, more) {
    this.say({ event: 'GROUP_COUNTER_UPDATED', data: { groupID, key, value, version, ...more } });
  }

  /** The gateway ends the connection, or the network does. */
  end(code = 1006, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** The frames that have been sent since the last call. */
  fresh() {
    const frames = this.sent.slice(this.#taken).map((text) => JSON.parse(text));
    this.#taken = this.sent.length;
    return frames;
  }

  /** The oldest frame of this command that has not been looked for. */
  frame(cmd) {
    const at = this.sent.findIndex((text, index) => index >= this.#taken && JSON.parse(text).cmd === cmd);
    if (at < 0) throw new Error(`no ${cmd} was sent after ${this.#taken} frames: ${this.sent.join('\n')}`);
    this.#taken = at + 1;
    return JSON.parse(this.sent[at]);
  }

  /** Answers the oldest frame of this command: with data, or with a code. */
  answer(cmd, data, more) {
    this.say({ id: this.frame(cmd).id, ...outcome(data), ...more });
  }
}

const outcome = (data) => (typeof data === 'number' ? { code: data, message: `refused with ${data}` } : { code: 0, data });

export const ROOM = { groupID: 'live', type: 'AVChatRoom', name: 'Live', ownerID: 'ben', joinOption: 'FreeAccess', createTime: 1, memberCount: 1 };

/** The data of a join. */
export const joined = (counters, version, epoch = 'e1') => ({ status: 'JoinedSuccess', group: ROOM, counters, version, epoch });
