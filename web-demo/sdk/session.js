// Who is logged in, over all connections: logs in on each new one, renews the sig, and says when it is over. It knows nothing
// of groups but that they are joined again before anything else goes out.

import { Link } from './link.js';
import { ChatError, EVENT, NOT_READY, NO_ANSWER, TYPES, WRONG_FIELD } from './names.js';

const REPLACED = 4503;
const RENEW_MS_MIN = 1_000;
const TIMER_MS_MAX = 2 ** 31 - 1;

export class Session {
  #env;
  #timeout;
  #getUserSig;
  #requests;
  #on;
  #link;
  #user = null;
  #entry = null;
  #renewal = null;
  isReady = false;

  /**
   * `on`: `emit(name, data)`, `text(data)`, `rejoin()` resolves when the groups are joined again, `ready()`, `down()`,
   * `over(fault)`.
   */
  constructor({ env, url, timeout, getUserSig, requests, on }) {
    this.#env = env;
    this.#timeout = timeout;
    this.#getUserSig = getUserSig;
    this.#requests = requests;
    this.#on = on;
    this.#link = new Link(url, env, timeout, {
      before: () => this.#freshSig(),
      up: (send, current) => this.#up(send, current),
      text: on.text,
      ping: (limit) => requests.ask({ cmd: 'ping' }, { limit, early: true }),
      connecting: () => on.emit(EVENT.NET_STATE_CHANGE, { state: TYPES.NET_STATE_CONNECTING }),
      down: (end) => this.#down(end),
    });
  }

  /** True from the call of `login` to the end of the session. */
  get wanted() {
    return this.#user !== null;
  }

  login({ userID, userSig }) {
    const user = this.#user;
    if (user && user.userID !== userID) return Promise.reject(new ChatError(WRONG_FIELD, `${user.userID} is logged in here: log out first.`));
    if (user && userSig) user.userSig = userSig;
    if (this.#entry) return this.#entry.promise;
    if (user) return this.#again();
    this.#user = { userID, userSig, fresh: Boolean(userSig) };
    const entry = {};
    this.#entry = entry;
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    const tooLate = () => this.leave(new ChatError(NO_ANSWER, `The login found no answer in time. ${entry.why ?? ''}`.trim()));
    entry.timer = this.#env.setTimeout(tooLate, this.#timeout);
    this.#link.open();
    return entry.promise;
  }

  /** Ends the session; `fault` is what all that waits is told. */
  leave(fault) {
    if (!this.#user) return;
    const wasReady = this.isReady;
    const entry = this.#settled();
    this.#user = null;
    this.isReady = false;
    this.#env.clearTimeout(this.#renewal);
    this.#link.shut();
    this.#requests.clear(fault);
    this.#on.over(fault);
    entry?.reject(fault);
    this.#on.emit(EVENT.NET_STATE_CHANGE, { state: TYPES.NET_STATE_DISCONNECTED, message: fault.message });
    if (wasReady) this.#on.emit(EVENT.SDK_NOT_READY);
  }

  wake(offline) {
    this.#link.wake(offline);
  }

  reconnect() {
    this.#link.now();
  }

  async #freshSig() {
    const user = this.#user;
    if (!user.fresh && this.#getUserSig) {
      try {
        user.userSig = await this.#getUserSig(user.userID);
      } catch (fault) {
        if (user === this.#user) this.#on.emit(EVENT.ERROR, fault);
        throw fault;
      }
    }
    user.fresh = false;
  }

  #ask() {
    const { userID, userSig } = this.#user;
    return this.#requests.ask({ cmd: 'login', userID, userSig }, { limit: this.#timeout, early: true });
  }

  async #up(send, current) {
    this.#requests.up(send);
    let answer;
    try {
      answer = await this.#ask();
    } catch (fault) {
      if (current()) this.#refused(fault);
      return;
    }
    await this.#on.rejoin();
    if (!current()) return;
    this.#link.ready();
    this.#requests.ready();
    this.#on.ready();
    this.#renewIn(answer.data.expiresAt);
    this.#on.emit(EVENT.NET_STATE_CHANGE, { state: TYPES.NET_STATE_CONNECTED });
    if (this.isReady) return;
    this.isReady = true;
    this.#settled().resolve(answer);
    this.#on.emit(EVENT.SDK_READY);
  }

  // A sig that is not accepted now will not be accepted in a second either, and whoever waits for `login` wants to know.
  #refused(fault) {
    const final = this.#entry || fault.code === WRONG_FIELD || (fault.code > 70_000 && fault.code < 70_050);
    if (!final) return this.#link.fail(fault.message);
    if (!this.#entry) this.#on.emit(EVENT.ERROR, fault);
    this.leave(fault);
  }

  #down({ code, message, retryIn }) {
    this.#requests.down();
    this.#on.down();
    if (this.#entry) this.#entry.why = message;
    if (retryIn !== null) return this.#on.emit(EVENT.NET_STATE_CHANGE, { state: TYPES.NET_STATE_DISCONNECTED, code, message, retryIn });
    if (code === REPLACED) this.#on.emit(EVENT.KICKED_OUT, { type: TYPES.KICKED_OUT_MULT_ACCOUNT });
    this.leave(new ChatError(NOT_READY, `${message} (${code})`));
  }

  #settled() {
    const entry = this.#entry;
    this.#env.clearTimeout(entry?.timer);
    this.#entry = null;
    return entry;
  }

  async #again() {
    const answer = await this.#ask();
    this.#renewIn(answer.data.expiresAt);
    return { ...answer, data: { ...answer.data, repeatLogin: true, errorInfo: 'This user is logged in already.' } };
  }

  // In good time, because a browser may hold a hidden page's timers back for a minute.
  #renewIn(expiresAt) {
    this.#env.clearTimeout(this.#renewal);
    if (!this.#getUserSig) return;
    const left = expiresAt * 1000 - this.#env.now();
    const renew = async () => {
      try {
        await this.#freshSig();
        if (this.isReady) await this.#again();
      } catch {
        if (this.isReady) this.#renewIn(expiresAt);
      }
    };
    this.#renewal = this.#env.setTimeout(renew, Math.min(TIMER_MS_MAX, Math.max(RENEW_MS_MIN, left * 0.8)));
  }
}
