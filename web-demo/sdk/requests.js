// What has been asked and not been answered. Whatever is safe to repeat goes out again on the next connection, until it is
// answered or too old; writes keep their order. It knows frames and times, never a socket.

import { onAbort } from './env.js';
import { ChatError, DISK_FAILED, NO_ROOM, TOO_OFTEN, unanswered } from './names.js';
import { write } from './wire.js';

const WAITING_MAX = 256;
// The gateway reads no more than 64 unanswered requests of one connection.
const UNDER_WAY_MAX = 60;
const RETRY_MS = 1_000;

/** Decides what of `waiting` goes out when. `state.send` is how, while there is a connection; `state.ready` when all may go. */
function makePump(env, throttle, waiting, state) {
  const alarm = env.alarm();

  // A write of this moment is sent as it is, and refused with 2996 where it is one too many, as the vendor's are. One
  // that an outage has delayed was in time when it was made: it waits for its place.
  function pauseOf(request, now, hurry) {
    if (!state.ready && !request.early) return Infinity;
    return Math.max(request.notBefore - now, request.counted && request.late ? throttle.wait(now, request.sum && !hurry) : 0);
  }

  return function pump(hurry) {
    const { send } = state;
    if (!send) return alarm();
    const now = env.now();
    let places = UNDER_WAY_MAX;
    let wait = Infinity;
    let held = false;
    for (const { sent } of waiting.values()) places -= sent;
    for (const request of waiting.values()) {
      if (request.sent) continue;
      const pause = pauseOf(request, now, hurry);
      // Taps come in no order, and hold nothing up.
      const ordered = request.counted && !request.sum;
      if (pause > 0 || places <= 0 || (ordered && held)) {
        request.late = true;
        held ||= ordered;
        wait = Math.min(wait, pause || Infinity);
      } else if (now >= request.dueBy) {
        // Timers stand still while a machine sleeps; the gateway's memory of operations does not.
        request.expire();
      } else {
        places -= 1;
        if (request.sum && !request.tried) request.frame.value = request.sum();
        request.sent = request.tried = true;
        if (request.counted) throttle.took(now, request.sum);
        send(write(request.frame));
      }
    }
    alarm(wait, wait < Infinity && pump);
  };
}

export function makeRequests(env, throttle) {
  const waiting = new Map();
  const state = {};
  const pump = makePump(env, throttle, waiting, state);
  let lastID = 0;

  function down() {
    state.send = state.ready = null;
    pump();
    waiting.forEach((request) => {
      request.late = true;
      if (request.early || (request.sent && !request.again)) request.expire();
      request.sent = false;
    });
  }

  return {
    /** Sends whatever may go. `hurry`: the page may be about to vanish, so the even pace of taps is left aside. */
    pump,

    /**
     * Resolves to `{ code: 0, data }`; `take` sees the data first. `limit`: milliseconds it may take. `again`: safe to
     * repeat. `counted`: a write, under the throttle; `late`: it may wait for its place there; `sum()`: gives its value when
     * it goes. `early`: goes out before the connection is ready, and belongs to it.
     */
    ask: (asked, options) => new Promise((resolve, reject) => {
      if (!options.early && waiting.size >= WAITING_MAX) throw new ChatError(NO_ROOM, 'Too many calls.');
      lastID += 1;
      const id = lastID;
      const frame = { ...asked, id };
      // Thrown here, where the caller hears of it.
      write(frame);
      const due = env.alarm();
      const ending = (settle) => (value) => {
        waiting.delete(id);
        due();
        release();
        settle(value);
      };
      const request = { late: !state.ready, ...options, frame, dueBy: env.now() + options.limit, notBefore: 0, sent: false, done: ending(resolve), fail: ending(reject) };
      const release = onAbort(options.signal, request.fail);
      request.expire = () => request.fail(unanswered(request.tried && frame));
      due(options.limit, request.expire);
      waiting.set(id, request);
      pump();
    }),

    /** A new connection: `send` takes text. Only early requests go out until it is `open`. */
    up(send) {
      state.send = send;
    },

    open() {
      state.ready = true;
      pump();
    },

    /** The connection is gone, and with it every answer that was on its way. */
    down,

    /** Rejects everything; whoever repeats a write that has gone out must know that it may have counted. */
    clear(fault) {
      down();
      waiting.forEach((request) => request.fail(request.counted && request.tried ? unanswered(request.frame, fault.message) : fault));
    },

    /** An answer has come; `read` makes of its data what the app sees, and may throw. */
    answered(answer, read) {
      const request = waiting.get(answer.id);
      if (request) settle(request, answer, read, env, throttle);
      pump();
    },
  };
}

// Ends a request with its answer, or lets it wait where the answer says that it may be tried again.
function settle(request, { code, data, message, retryAfter }, read, env, throttle) {
  if (code === 0) {
    try {
      const seen = read(data);
      request.take?.(seen);
      request.done({ code, data: seen });
    } catch (fault) {
      request.fail(fault);
    }
  } else if (request.again && (code === DISK_FAILED || code === NO_ROOM || (code === TOO_OFTEN && request.late))) {
    request.notBefore = env.now() + (retryAfter ?? RETRY_MS);
    if (code === TOO_OFTEN) throttle.pause(request.notBefore);
    request.sent = false;
    request.late = true;
  } else {
    request.fail(new ChatError(code, message, { retryAfter }));
  }
}
