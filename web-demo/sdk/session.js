// Who is logged in, over all connections: logs in on each new one, renews the sig, and says when it is over. It knows nothing
// of groups but that they are joined again before anything else goes out.

import { makeLink } from './link.js';
import { ChatError, EVENT, NOT_READY, TYPES, unanswered, WRONG_FIELD } from './names.js';

const REPLACED = 4503;
const RENEW_MS_MIN = 1_000;
// Browsers take a longer one for none at all.
const TIMER_MS_MAX = 2_000_000_000;
// 70001 to 70014, and a name of a wrong form; not 70050, which passes.
const FINAL = /^(700[01]|10004)/;

/** One user's stay: `begun` is what `login` waits for. */
function makeStay(userID, userSig, { env, timeout, getUserSig, requests, emit }, tooLate) {
  const renewal = env.alarm();
  const stay = { userID, userSig, alarm: env.alarm() };
  // The sig of the call itself is used first, where there is one.
  let used = !userSig;
  let over = false;

  stay.begun = new Promise((resolve, reject) => Object.assign(stay, { resolve, reject }));
  stay.alarm(timeout, tooLate);

  stay.freshSig = async () => {
    try {
      if (used && getUserSig) stay.userSig = await getUserSig(userID);
      used = true;
    } catch (fault) {
      if (!over) emit(EVENT.ERROR, fault);
      throw fault;
    }
  };

  stay.logIn = async () => {
    // A sig may come when somebody else is logged in already.
    if (over) throw unanswered();
    const answer = await requests.ask({ cmd: 'login', userID, userSig: stay.userSig }, { limit: timeout, early: true });
    renewIn(answer.data.expiresAt * 1000 - env.now());
    return answer;
  };

  // In good time, because a browser may hold a hidden page's timers back for a minute.
  function renewIn(left) {
    const again = () => stay.freshSig().then(stay.logIn).catch(() => renewIn(left * 0.2));
    if (getUserSig && !over) renewal(Math.min(TIMER_MS_MAX, Math.max(RENEW_MS_MIN, left * 0.8)), again);
  }

  stay.end = () => {
    over = true;
    renewal();
    stay.alarm();
  };
  return stay;
}

/** `on`: `emit(name, data)`, `text(data)`, `rejoin()` resolves when the groups are joined again, `down()`, `over()`. */
export function makeSession(outside, url, on) {
  const { env, timeout, requests, emit } = outside;
  const net = (state, more) => emit(EVENT.NET_STATE_CHANGE, { state, ...more });
  const ping = (limit) => requests.ask({ cmd: 'ping' }, { limit, early: true });
  const link = makeLink(url, env, timeout, { before: () => stay.freshSig(), up, text: on.text, ping, connecting: () => net('connecting'), down });
  let stay = null;
  let ready = false;

  async function up(send, current) {
    requests.up(send);
    const answer = await stay.logIn().catch((fault) => current() && refused(fault));
    if (answer) await on.rejoin();
    if (!answer || !current()) return;
    link.open();
    requests.open();
    net('connected');
    if (ready) return;
    ready = true;
    stay.alarm();
    stay.resolve(answer);
    emit(EVENT.SDK_READY);
  }

  // A sig that is not accepted now will not be accepted in a second either, and whoever waits for `login` wants to know.
  function refused(fault) {
    const { code, message } = fault;
    if (ready && !FINAL.test(code)) return link.fail(message);
    if (ready) emit(EVENT.ERROR, fault);
    leave(fault);
  }

  function down({ code, message, retryIn }) {
    requests.down();
    on.down();
    if (retryIn !== null) return net('disconnected', { code, message, retryIn });
    if (code === REPLACED) emit(EVENT.KICKED_OUT, { type: TYPES.KICKED_OUT_MULT_ACCOUNT });
    leave(new ChatError(NOT_READY, `${message} (${code})`));
  }

  function leave(fault) {
    const [was, wasReady] = [stay, ready];
    if (!was) return;
    stay = null;
    ready = false;
    was.end();
    link.stop();
    requests.clear(fault);
    on.over();
    was.reject(fault);
    net('disconnected', { message: fault.message });
    if (wasReady) emit(EVENT.SDK_NOT_READY);
  }

  async function login({ userID, userSig }) {
    if (!stay) {
      stay = makeStay(userID, userSig, outside, () => leave(unanswered()));
      link.start();
      return stay.begun;
    }
    if (stay.userID !== userID) throw new ChatError(WRONG_FIELD, `Log ${stay.userID} out first.`);
    if (!ready) return stay.begun;
    stay.userSig = userSig ?? stay.userSig;
    const answer = await stay.logIn();
    answer.data.errorInfo = 'Logged in already.';
    return answer;
  }

  return {
    login,

    /** True from SDK_READY to SDK_NOT_READY. */
    isReady: () => ready,

    /** True from the call of `login` to the end of the session. */
    isWanted: () => stay,

    /** Ends the session; `fault` is what all that waits is told. */
    leave,
    wake: link.wake,
    reconnect: link.now,
  };
}
