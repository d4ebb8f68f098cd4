// What has been asked and not been answered. Whatever is safe to repeat goes out again on the next connection, until it is
// answered or too old; writes keep their order. It knows frames and times, never a socket.

import { ChatError, DISK_FAILED, NO_ANSWER, NO_ROOM, TOO_OFTEN } from './names.js';
import { write } from './wire.js';

const WAITING_MAX = 256;
// The gateway reads no more than 64 unanswered requests of one connection.
const UNDER_WAY_MAX = 60;
const RETRY_MS = 1_000;

export class Requests {
  #env;
  #throttle;
  #waiting = new Map();
  #lastID = 0;
  #send = null;
  #ready = false;
  #timer = null;

  constructor(env, throttle) {
    this.#env = env;
    this.#throttle = throttle;
  }

  /**
   * Resolves to `{ code: 0, data }`, where `take` has made `data` of the answer's. `limit`: milliseconds it may take.
   * `again`: safe to repeat. `counted`: a write, under the throttle; `late`: it may wait for its place there. `early`: goes
   * out before the connection is ready, and belongs to it.
   */
  ask(frame, { limit, again, counted, early, late, signal, take = (data) => data }) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (!early && this.#waiting.size >= WAITING_MAX) throw new ChatError(NO_ROOM, `${WAITING_MAX} calls wait for their answers already: wait for some of them.`);
      const id = ++this.#lastID;
      const request = { text: write({ id, ...frame }), dueBy: this.#env.now() + limit, notBefore: 0, again, counted, early, late: late || !this.#ready, sent: false, tried: false, take };
      const end = (settle, value) => {
        this.#waiting.delete(id);
        this.#env.clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
        settle(value);
      };
      const aborted = () => request.fail(signal.reason);
      const expired = () => request.fail(new ChatError(NO_ANSWER, `No answer to ${frame.cmd} in time: ${fate(request)}`));
      request.done = (answer) => end(resolve, answer);
      request.fail = (fault) => end(reject, fault);
      request.expired = expired;
      const timer = this.#env.setTimeout(expired, limit);
      signal?.addEventListener('abort', aborted);
      this.#waiting.set(id, request);
      this.pump();
    });
  }

  /** A new connection: `send` takes text. Only early requests go out before `ready`. */
  up(send) {
    this.#send = send;
    this.pump();
  }

  get isReady() {
    return this.#ready;
  }

  ready() {
    this.#ready = true;
    this.pump();
  }

  /** The connection is gone, and with it every answer that was on its way. */
  down() {
    this.#send = null;
    this.#ready = false;
    for (const request of [...this.#waiting.values()]) {
      request.late = true;
      if (request.early || (request.sent && !request.again)) request.fail(new ChatError(NO_ANSWER, `The connection ended before the answer: ${fate(request)}`));
      request.sent = false;
    }
  }

  /** Rejects everything. */
  clear(fault) {
    this.down();
    this.#env.clearTimeout(this.#timer);
    for (const request of [...this.#waiting.values()]) request.fail(fault);
  }

  answered({ id, code, data, message, retryAfter }) {
    const request = this.#waiting.get(id);
    if (!request) return;
    if (code === 0) {
      try {
        request.done({ code, data: request.take(data) });
      } catch (fault) {
        request.fail(fault);
      }
    } else if (request.again && (code === DISK_FAILED || code === NO_ROOM || (code === TOO_OFTEN && request.late))) {
      request.notBefore = this.#env.now() + (retryAfter ?? RETRY_MS);
      if (code === TOO_OFTEN) this.#throttle.pause(request.notBefore);
      request.sent = false;
      request.late = true;
    } else {
      request.fail(new ChatError(code, message, retryAfter));
    }
    this.pump();
  }

  /** Sends whatever may go. */
  pump() {
    if (!this.#send) return;
    const now = this.#env.now();
    let room = UNDER_WAY_MAX;
    for (const { sent } of this.#waiting.values()) room -= sent;
    let wait = Infinity;
    let held = false;
    for (const request of [...this.#waiting.values()]) {
      if (request.sent) continue;
      const pause = this.#pause(request, now);
      if (pause > 0 || room <= 0 || (request.counted && held)) {
        request.late = true;
        held ||= request.counted;
        wait = Math.min(wait, pause || Infinity);
      } else if (now >= request.dueBy) {
        // Timers stand still while a machine sleeps; the gateway's memory of operations does not.
        request.expired();
      } else {
        room -= 1;
        request.sent = request.tried = true;
        if (request.counted) this.#throttle.took(now);
        this.#send(request.text);
      }
    }
    this.#env.clearTimeout(this.#timer);
    this.#timer = wait < Infinity ? this.#env.setTimeout(() => this.pump(), wait) : null;
  }

  // A write of this moment is sent as it is, and refused with 2996 where it is one too many, as the vendor's are. One
  // that an outage has delayed was in time when it was made: it waits for its place.
  #pause(request, now) {
    if (!this.#ready && !request.early) return Infinity;
    return Math.max(request.notBefore - now, request.counted && request.late ? this.#throttle.wait(now) : 0);
  }
}

const fate = ({ tried }) => (tried ? 'it may have been carried out or not.' : 'it was never sent.');
