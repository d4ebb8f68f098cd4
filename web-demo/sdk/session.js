// Who is logged in, over all connections: logs in on each new one, renews the sig, and says when it is over. It knows nothing
// of groups but that they are joined again before anything else goes out.

import { makeLink } from './link.js';
import { ChatError, EVENT, NO_ANSWER, NOT_READY, TYPES, unanswered, WRONG_FIELD } from './names.js';
import { lifeOf, makeRenewal } from './renewal.js';
import { needed } from './wire.js';

const REPLACED = 4503;
const EXPIRED = 70001;
// So many sigs in a row that have run out, and it is over.
const EXPIRED_MAX = 6;
// 70001 to 70014, and a name of a wrong form; not 70050, which passes.
const FINAL = /^(700[01]|10004)/;

/** One user's stay: `begun` is what `login` waits for; `refused(fault)` hears of a renewal that the gateway did not take. */
function makeStay(userID, userSig, url, { env, held, requests, emit }, tooLate, refused) {
  const renewal = makeRenewal(env, emit);
  const stay = { userID, userSig, alarm: env.alarm(), expired: 0, down: renewal.stop };
  // The sig of the call itself is used first, where there is one.
  let used = !userSig;
  let over = false;

  stay.begun = new Promise((resolve, reject) => Object.assign(stay, { resolve, reject }));
  stay.alarm(held.timeout, tooLate);

  stay.freshSig = async () => {
    stay.asks = 'getUserSig';
    try {
      if (used && held.getUserSig) stay.userSig = await held.getUserSig(userID);
      used = true;
    } catch (fault) {
      if (!over) emit(EVENT.ERROR, fault);
      throw new ChatError(NO_ANSWER, `getUserSig: ${fault}`, { cause: fault });
    }
    stay.asks = url;
  };

  stay.logIn = async () => {
    // A sig may come when somebody else is logged in already.
    if (over) throw unanswered();
    const sig = stay.userSig;
    const answer = await requests.ask({ cmd: 'login', userID, userSig: sig }, { limit: held.timeout, early: true });
    stay.expired = 0;
    const begin = (life) => !over && renewal.begin(life, answer.data.expiresAt * 1000 - env.now(), renew);
    if (held.getUserSig) lifeOf(sig).then(begin, () => begin());
    return answer;
  };

  const renew = () => stay.freshSig().then(stay.logIn).catch((fault) => {
    if (FINAL.test(fault.code)) refused(fault);
    else renewal.again(renew);
  });

  stay.end = () => {
    over = true;
    renewal.stop();
    stay.alarm();
  };
  return stay;
}

/** `on`: `emit(name, data)`, `text(data)`, `rejoin()` resolves when the groups are joined again, `down()`, `over()`. */
export function makeSession(outside, url, on) {
  const { env, held, requests, emit } = outside;
  const net = (state, more) => emit(EVENT.NET_STATE_CHANGE, { state, ...more });
  const ping = (limit) => requests.ask({ cmd: 'ping' }, { limit, early: true });
  const link = makeLink(url, env, held, { before: () => stay.freshSig(), up, text: on.text, ping, connecting: () => net('connecting'), down });
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

  // A sig that is not accepted now will not be accepted in a second either, and whoever waits for `login` wants to know. But
  // one that has run out may have been a new one when it was asked for.
  function refused(fault) {
    const { code, message } = fault;
    const again = code === EXPIRED ? held.getUserSig && (stay.expired += 1) < EXPIRED_MAX : ready && !FINAL.test(code);
    if (again ? stay.expired > 1 : ready) emit(EVENT.ERROR, fault);
    if (again) link.fail(message);
    else leave(fault);
  }

  function down(end) {
    const { code, message, retryIn } = end;
    stay.down();
    stay.failed = end;
    requests.down();
    on.down();
    if (retryIn !== null) return net('disconnected', { code, message, retryIn });
    if (code === REPLACED) emit(EVENT.KICKED_OUT, { type: TYPES.KICKED_OUT_MULT_ACCOUNT });
    leave(new ChatError(NOT_READY, `${message} (${code}).`));
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

  function tooLate() {
    const { message, cause } = stay.failed ?? { message: `${stay.asks} has not answered.` };
    leave(new ChatError(NO_ANSWER, `Not logged in within ${held.timeout / 1000} s. ${message}`, { cause }));
  }

  async function login({ userID, userSig } = {}) {
    needed(userID, 'userID');
    if (!stay) {
      if (!env.WebSocket) throw new ChatError(WRONG_FIELD, 'No WebSocket: give env.WebSocket (ws).');
      stay = makeStay(userID, userSig, url, outside, tooLate, refused);
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

    /** Who is logged in; an empty text where nobody is. */
    user: () => (ready ? stay.userID : ''),

    /** True from the call of `login` to the end of the session. */
    isWanted: () => stay,

    /** Ends the session; `fault` is what all that waits is told. */
    leave,
    wake: link.wake,
    reconnect: link.now,
  };
}
