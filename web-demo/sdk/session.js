// Who is logged in, over all connections: logs in on each new one, renews the sig, and says when it is over. It knows nothing
// of groups but that they are joined again before anything else goes out.

import { makeLink } from './link.js';
import { ChatError, EVENT, NOT_READY, NO_ANSWER, TYPES, WRONG_FIELD } from './names.js';

const REPLACED = 4503;
const RENEW_MS_MIN = 1_000;
const TIMER_MS_MAX = 2 ** 31 - 1;

/** `on`: `emit(name, data)`, `text(data)`, `rejoin()` resolves when the groups are joined again, `open()`, `down()`, `over(fault)`. */
export function makeSession({ env, url, timeout, getUserSig, requests, on }) {
  let user = null;
  let entry = null;
  let ready = false;

  const renewal = env.alarm();
  const link = makeLink(url, env, timeout, {
    before: freshSig,
    up,
    text: on.text,
    ping: (limit) => requests.ask({ cmd: 'ping' }, { limit, early: true }),
    connecting: () => net('connecting'),
    down,
  });

  const net = (state, more) => on.emit(EVENT.NET_STATE_CHANGE, { state, ...more });

  const ask = () => requests.ask({ cmd: 'login', userID: user.userID, userSig: user.userSig }, { limit: timeout, early: true });

  async function freshSig() {
    const asking = user;
    try {
      if (!user.fresh && getUserSig) asking.userSig = await getUserSig(asking.userID);
    } catch (fault) {
      if (asking === user) on.emit(EVENT.ERROR, fault);
      throw fault;
    }
    asking.fresh = false;
  }

  async function up(send, current) {
    requests.up(send);
    let answer;
    try {
      answer = await ask();
    } catch (fault) {
      if (current()) refused(fault);
      return;
    }
    await on.rejoin();
    if (!current()) return;
    link.open();
    requests.open();
    on.open();
    renewIn(answer);
    net('connected');
    if (ready) return;
    ready = true;
    settled().resolve(answer);
    on.emit(EVENT.SDK_READY);
  }

  // A sig that is not accepted now will not be accepted in a second either, and whoever waits for `login` wants to know.
  function refused(fault) {
    if (!entry && fault.code !== WRONG_FIELD && !(fault.code > 70_000 && fault.code < 70_050)) return link.fail(fault.message);
    if (!entry) on.emit(EVENT.ERROR, fault);
    leave(fault);
  }

  function down({ code, message, retryIn }) {
    requests.down();
    on.down();
    if (retryIn !== null) return net('disconnected', { code, message, retryIn });
    if (code === REPLACED) on.emit(EVENT.KICKED_OUT, { type: TYPES.KICKED_OUT_MULT_ACCOUNT });
    leave(new ChatError(NOT_READY, `${message} (${code})`));
  }

  function settled() {
    const was = entry;
    was?.alarm();
    entry = null;
    return was;
  }

  function leave(fault) {
    if (!user) return;
    const wasReady = ready;
    const was = settled();
    user = null;
    ready = false;
    renewal();
    link.stop();
    requests.clear(fault);
    on.over(fault);
    was?.reject(fault);
    net('disconnected', { message: fault.message });
    if (wasReady) on.emit(EVENT.SDK_NOT_READY);
  }

  async function again() {
    const answer = await ask();
    renewIn(answer);
    return { ...answer, data: { ...answer.data, repeatLogin: true, errorInfo: 'Logged in already.' } };
  }

  // In good time, because a browser may hold a hidden page's timers back for a minute.
  function renewIn(answer) {
    renewal();
    if (!getUserSig) return;
    const left = answer.data.expiresAt * 1000 - env.now();
    const renew = () => freshSig().then(again).catch(() => ready && renewIn(answer));
    renewal(Math.min(TIMER_MS_MAX, Math.max(RENEW_MS_MIN, left * 0.8)), renew);
  }

  return {
    /** True from SDK_READY to SDK_NOT_READY. */
    get ready() {
      return ready;
    },

    /** True from the call of `login` to the end of the session. */
    get wanted() {
      return user;
    },

    login({ userID, userSig }) {
      if (user && user.userID !== userID) return Promise.reject(new ChatError(WRONG_FIELD, `${user.userID} is logged in here: log out first.`));
      if (user && userSig) user.userSig = userSig;
      if (entry) return entry.promise;
      if (user) return again();
      user = { userID, userSig, fresh: userSig };
      const mine = { alarm: env.alarm() };
      entry = mine;
      mine.alarm(timeout, () => leave(new ChatError(NO_ANSWER, 'The login found no answer in time.')));
      mine.promise = new Promise((resolve, reject) => Object.assign(mine, { resolve, reject }));
      link.start();
      return mine.promise;
    },

    /** Ends the session; `fault` is what all that waits is told. */
    leave,
    wake: link.wake,
    reconnect: link.now,
  };
}
