// One connection after the other: opens, notices when the line is dead, comes back when it may. It knows sockets and time,
// and no frame.

import { comeback } from './comeback.js';

const PING_EVERY_MS = 15_000;
const PONG_MS_MAX = 10_000;
const WAKE_PONG_MS_MAX = 5_000;
const STEADY_AFTER_MS = 5_000;
const LOST = 'The connection was lost.';
// Node's ws throws where nobody hears of an error.
const ignore = () => {};

/**
 * `on`: `before()` is awaited and may throw; `up(send, current)` when the socket is open, where `current()` says whether
 * it still is the one; `text(data)`; `ping(limit)` resolves to the pong; `connecting()`; `down({ code, message, retryIn, cause })`.
 * `held.timeout`: milliseconds until a connection must be open; `held.getUserSig`: there, `before` gets a new UserSig, so
 * that one which ran out is no end.
 */
export function makeLink(url, env, held, on) {
  const alarm = env.alarm();
  let turn = 0;
  let socket;
  let pausing;
  let asked;
  let attempt;
  let openAt;
  let heardAt;
  let checking;

  async function connect() {
    drop();
    const mine = turn;
    const current = () => mine === turn;
    alarm(held.timeout, () => fail(LOST));
    on.connecting();
    try {
      await on.before();
      if (current()) open(current);
    } catch (fault) {
      if (current()) fail(fault.message, fault.cause ?? fault);
    }
  }

  function open(current) {
    socket = new env.WebSocket(url);
    socket.onopen = () => {
      socket.onerror = ignore;
      on.up((text) => socket.send(text), current);
    };
    socket.onmessage = ({ data }) => {
      heardAt = env.now();
      on.text(data);
    };
    // Browsers keep to themselves why a handshake fails; other clients say it here, and some nothing after it.
    socket.onerror = ({ message, error }) => fail(`No way to ${url}: ${message || 'nobody listens, wrong path or origin.'}`, error);
    socket.onclose = ({ code, reason }) => lost(code, code === 1012 ? 'The gateway restarts.' : reason || LOST, undefined, reason);
  }

  function lost(code, message, cause, reason) {
    if (openAt && env.now() - openAt > STEADY_AFTER_MS) attempt = 0;
    drop();
    const next = comeback(code, reason, attempt, env.random, held.getUserSig);
    attempt += 1;
    asked = next.asked;
    pausing = next.pause !== null;
    if (pausing) alarm(next.pause, connect);
    on.down({ code, message, retryIn: next.pause, cause });
  }

  function fail(message, cause) {
    lost(1006, message, cause);
  }

  // A dead line may take minutes to close: its end is declared here, and what it still says no longer counts.
  function drop() {
    const old = socket;
    turn += 1;
    alarm();
    socket = openAt = null;
    pausing = checking = false;
    if (!old) return;
    old.onmessage = old.onclose = null;
    old.onerror = ignore;
    // Closing before it is open would be an error on the console of each development double-mount.
    old.onopen = () => old.close();
    if (old.readyState === 1) old.close();
  }

  // Browsers answer the gateway's pings by themselves and tell nobody, so this side asks, too.
  async function check(limit) {
    if (checking) return;
    checking = true;
    const [mine, at] = [turn, env.now()];
    const alive = await on.ping(limit).then(() => true, () => heardAt > at);
    if (mine !== turn) return;
    checking = false;
    if (alive) watch();
    else fail('The line is silent.');
  }

  const watch = () => alarm(PING_EVERY_MS, () => check(PONG_MS_MAX));

  const now = () => pausing && connect();

  return {
    start() {
      attempt = 0;
      connect();
    },

    /** Ends it for good, until `start`. */
    stop: drop,

    /** The connection is of use now: from here on it is watched. */
    open() {
      openAt = env.now();
      watch();
    },

    /** Gives this connection up, and comes back as after a lost one. */
    fail,

    /** Ends a pause. */
    now,

    /** The page is back, or the network has changed: the line may be dead without anybody having said so. */
    wake(offline) {
      if (openAt) check(WAKE_PONG_MS_MAX);
      else if (!asked && !offline) now();
    },
  };
}
