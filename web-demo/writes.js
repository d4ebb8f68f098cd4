// The writes that wait for their answer. Each has an operation id and goes out again, unchanged, until the server has
// answered or it is 60 s old: nothing is lost, and the server sees to it that nothing counts twice.

export const WRITE_AGE_MS_MAX = 60_000;
export const WAITING_MAX = 20;
const DISK_PAUSE_MS = 1_000;

/** Pure: the time comes in as milliseconds of any one clock, and `send` is given by the connection. */
export class Writes {
  #waiting = new Map();
  #pausedUntil = 0;

  get count() {
    return this.#waiting.size;
  }

  get full() {
    return this.#waiting.size >= WAITING_MAX;
  }

  /** Keeps a write and returns the promise of its outcome: `{ code, data, message }`, or code -1 when it grew too old. */
  add(frame, now) {
    return new Promise((settle) => {
      this.#waiting.set(frame.opID, { frame, bornAt: now, sentAt: null, onThisConnection: false, settle });
    });
  }

  /** A new connection knows nothing of what was sent on the last one: everything goes out again. */
  connectionLost() {
    for (const write of this.#waiting.values()) write.onThisConnection = false;
  }

  /** Sends whatever is due. Returns the milliseconds until it wants to be called again, or null. */
  flush(now, send) {
    this.expire(now);
    if (now < this.#pausedUntil) return this.#pausedUntil - now;
    for (const write of this.#waiting.values()) {
      if (write.onThisConnection) continue;
      write.onThisConnection = true;
      write.sentAt = now;
      send(write.frame);
    }
    return null;
  }

  /**
   * Takes the answer to a write. Returns `{ ms, again }`: how long it took, and the pause before it goes out again
   * where the server asked for one; null when nobody waits for this answer.
   */
  answered(opID, answer, now) {
    const write = this.#waiting.get(opID);
    if (!write) return null;
    const ms = now - write.sentAt;
    const again = answer.retryAfter ?? (answer.code === 10002 ? DISK_PAUSE_MS : null);
    if (answer.code !== 0 && again !== null) {
      write.onThisConnection = false;
      this.#pausedUntil = Math.max(this.#pausedUntil, now + again);
      return { ms, again };
    }
    this.#waiting.delete(opID);
    write.settle(answer);
    return { ms, again: null };
  }

  /** Gives up what is too old. Call it about once a second, connected or not. */
  expire(now) {
    for (const [opID, write] of this.#waiting) {
      // One more sending could come after the server has forgotten the operation id, and would then count twice.
      if (now - write.bornAt < WRITE_AGE_MS_MAX) continue;
      this.#waiting.delete(opID);
      write.settle({ code: -1, sent: write.sentAt !== null });
    }
  }
}
