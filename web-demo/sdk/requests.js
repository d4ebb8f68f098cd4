// What has been asked and not been answered. Whatever is safe to repeat goes out again on the next connection, until it is
// answered or too old; writes keep their order. It knows frames and times, never a socket.

import { onAbort } from './env.js';
import { ChatError, DISK_FAILED, NO_ANSWER, NO_ROOM, TOO_OFTEN } from './names.js';
import { write } from './wire.js';

const WAITING_MAX = 256;
// The gateway reads no more than 64 unanswered requests of one connection.
const UNDER_WAY_MAX = 60;
const RETRY_MS = 1_000;

/** The error of what found no answer. */
export const unanswered = (sent) => new ChatError(NO_ANSWER, sent ? 'No answer came: it may have been carried out or not.' : 'It could not be sent in time, and has no effect.');

export function makeRequests(env, throttle) {
  const waiting = new Map();
  let lastID = 0;
  let send = null;
  let ready = false;
  const alarm = env.alarm();

  // A write of this moment is sent as it is, and refused with 2996 where it is one too many, as the vendor's are. One
  // that an outage has delayed was in time when it was made: it waits for its place.
  function pauseOf(request, now) {
    if (!ready && !request.early) return Infinity;
    return Math.max(request.notBefore - now, request.counted && request.late ? throttle.wait(now) : 0);
  }

  function pump() {
    if (!send) return;
    const now = env.now();
    let room = UNDER_WAY_MAX;
    let wait = Infinity;
    let held = false;
    for (const { sent } of waiting.values()) room -= sent;
    for (const request of [...waiting.values()]) {
      if (request.sent) continue;
      const pause = pauseOf(request, now);
      if (pause > 0 || room <= 0 || (request.counted && held)) {
        request.late = true;
        held ||= request.counted;
        wait = Math.min(wait, pause || Infinity);
      } else if (now >= request.dueBy) {
        // Timers stand still while a machine sleeps; the gateway's memory of operations does not.
        request.expire();
      } else {
        room -= 1;
        request.sent = request.tried = true;
        if (request.counted) throttle.took(now);
        send(request.text);
      }
    }
    alarm(wait, wait < Infinity && pump);
  }

  function down() {
    send = null;
    ready = false;
    for (const request of [...waiting.values()]) {
      request.late = true;
      if (request.early || (request.sent && !request.again)) request.expire();
      request.sent = false;
    }
  }

  return {
    get ready() {
      return ready;
    },

    /**
     * Resolves to `{ code: 0, data }`; `take` sees the data first. `limit`: milliseconds it may take. `again`: safe to repeat. `counted`: a write, under the throttle; `late`: it may wait for its place there. `early`: goes
     * out before the connection is ready, and belongs to it.
     */
    ask(frame, options) {
      const { limit, early, signal } = options;
      return new Promise((resolve, reject) => {
        if (!early && waiting.size >= WAITING_MAX) throw new ChatError(NO_ROOM, 'Too many calls wait for their answers: wait for some of them.');
        lastID += 1;
        const id = lastID;
        const ending = (settle) => (value) => {
          waiting.delete(id);
          due();
          release();
          settle(value);
        };
        const due = env.alarm();
        const request = { late: !ready, ...options, text: write({ ...frame, id }), dueBy: env.now() + limit, notBefore: 0, sent: false, done: ending(resolve), fail: ending(reject) };
        const release = onAbort(signal, request.fail);
        request.expire = () => request.fail(unanswered(request.tried));
        due(limit, request.expire);
        waiting.set(id, request);
        pump();
      });
    },

    /** A new connection: `by` takes text. Only early requests go out until it is `open`. */
    up(by) {
      send = by;
    },

    open() {
      ready = true;
      pump();
    },

    /** The connection is gone, and with it every answer that was on its way. */
    down,

    /** Rejects everything. */
    clear(fault) {
      down();
      alarm();
      for (const request of [...waiting.values()]) request.fail(fault);
    },

    /** An answer has come; `read` makes of its data what the app sees, and may throw. */
    answered({ id, code, data, message, retryAfter }, read) {
      const request = waiting.get(id);
      if (!request) return;
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
        request.fail(new ChatError(code, message, retryAfter));
      }
      pump();
    },
  };
}
