// The connection to the gateway: logs in, asks and answers, notices when the line is dead and comes back by itself.
// It knows frames and nothing of rooms or of the page. The signature lives in local variables only.

import { now } from './clock.js';
import { comeback } from './comeback.js';
import { masked, parseExact, writeExact } from './exact.js';
import { Writes } from './writes.js';

const LOGIN_MS_MAX = 10_000;
const PING_EVERY_MS = 15_000;
const PONG_MS_MAX = 10_000;
const STEADY_AFTER_MS = 5_000;
const TICK_MS = 1_000;
const LOST = { code: -2, message: 'The connection was lost.' };

export class Socket {
  #url;
  #credentials;
  #on;
  #ws = null;
  #turn = 0;
  #ready = false;
  #attempt = 0;
  #startedAt = 0;
  #readyAt = null;
  #pingAt = 0;
  #pinging = false;
  #refusal = null;
  #retry = null;
  #lastID = 0;
  #asked = new Map();
  #writes = new Writes();

  /**
   * `credentials()` resolves to `{ userID, userSig }`, anew for each connection. `on` holds the listeners: `state(name, detail)`,
   * `ready()` (awaited before waiting writes go out), `event(name, data)`, `frame(direction, text)`, `ack(ms)`, `roundTrip(ms)`, `slow(ms)`.
   */
  constructor({ url, credentials, on }) {
    this.#url = url;
    this.#credentials = credentials;
    this.#on = on;
  }

  start() {
    setInterval(() => this.#tick(), TICK_MS);
    this.#connect();
  }

  /** Ends a pause, or a stop, at once. Does nothing while connected. */
  tryNow() {
    if (this.#retry !== null || this.#ws === null) this.#connect();
  }

  get ready() {
    return this.#ready;
  }

  get writesWaiting() {
    return this.#writes.count;
  }

  get writesFull() {
    return this.#writes.full;
  }

  /** Sends a command once. Always resolves: to the answer, or to code -2 when the connection was lost before it. */
  request(frame) {
    if (this.#ws?.readyState !== WebSocket.OPEN) return Promise.resolve(LOST);
    return new Promise((settle) => this.#send(frame, (answer) => settle(answer)));
  }

  /** Sends a write until it is answered or too old, over as many connections as that takes. */
  write(frame) {
    const outcome = this.#writes.add({ ...frame, opID: crypto.randomUUID() }, now());
    this.#flush();
    return outcome;
  }

  async #connect() {
    clearTimeout(this.#retry);
    this.#retry = null;
    const turn = ++this.#turn;
    this.#startedAt = now();
    this.#refusal = null;
    this.#on.state('connecting');
    let session;
    try {
      session = await this.#credentials();
    } catch (fault) {
      if (turn === this.#turn) this.#ended(1006, '', fault.message);
      return;
    }
    if (turn !== this.#turn) return;
    const ws = new WebSocket(this.#url);
    this.#ws = ws;
    ws.onopen = () => ws === this.#ws && this.#login(turn, session);
    ws.onmessage = ({ data }) => ws === this.#ws && this.#take(data);
    ws.onclose = ({ code, reason }) => ws === this.#ws && this.#ended(code, reason, this.#refusal);
  }

  async #login(turn, { userID, userSig }) {
    const answer = await this.request({ cmd: 'login', userID, userSig });
    if (turn !== this.#turn || answer === LOST) return;
    if (answer.code !== 0) {
      // The close that follows says whether to come back; this answer says why in better words.
      this.#refusal = `The login was refused: ${answer.message} (${answer.code}).`;
      return;
    }
    await this.#on.ready();
    if (turn !== this.#turn) return;
    this.#ready = true;
    this.#readyAt = now();
    this.#on.state('ready');
    this.#ping();
    this.#flush();
  }

  #send(frame, answered) {
    const id = ++this.#lastID;
    this.#asked.set(id, answered);
    const whole = { id, ...frame };
    this.#on.frame('out', masked(whole));
    this.#ws.send(writeExact(whole));
  }

  #take(text) {
    this.#on.frame('in', text);
    const frame = parseExact(text);
    if (frame.event !== undefined) return this.#on.event(frame.event, frame.data);
    const answered = this.#asked.get(frame.id);
    this.#asked.delete(frame.id);
    answered?.(frame);
  }

  #flush() {
    if (!this.#ready) return;
    const pause = this.#writes.flush(now(), (frame) => {
      this.#send(frame, (answer) => this.#writeAnswered(frame.opID, answer));
    });
    if (pause !== null) setTimeout(() => this.#flush(), pause);
  }

  #writeAnswered(opID, answer) {
    if (answer === LOST) return;
    const done = this.#writes.answered(opID, answer, now());
    if (!done) return;
    this.#on.ack(done.ms);
    if (done.again === null) return;
    this.#on.slow(done.again, answer);
    setTimeout(() => this.#flush(), done.again);
  }

  async #ping() {
    this.#pinging = true;
    this.#pingAt = now();
    const answer = await this.request({ cmd: 'ping' });
    if (answer === LOST) return;
    this.#pinging = false;
    this.#on.roundTrip(now() - this.#pingAt);
  }

  #tick() {
    const at = now();
    this.#writes.expire(at);
    if (this.#retry !== null || this.#ws === null) return;
    if (!this.#ready && at - this.#startedAt > LOGIN_MS_MAX) return this.#giveUp('The server did not answer the login.');
    if (!this.#ready) return;
    if (this.#pinging && at - this.#pingAt > PONG_MS_MAX) return this.#giveUp('The line went silent.');
    if (!this.#pinging && at - this.#pingAt > PING_EVERY_MS) this.#ping();
  }

  // A dead line may take minutes to close, so its end is declared here and its own close event no longer counts.
  #giveUp(why) {
    const ws = this.#ws;
    this.#ended(1006, '', why);
    ws.close();
  }

  #ended(code, reason, why) {
    this.#turn += 1;
    this.#ws = null;
    this.#ready = false;
    this.#pinging = false;
    if (this.#readyAt !== null && now() - this.#readyAt > STEADY_AFTER_MS) this.#attempt = 0;
    this.#readyAt = null;
    this.#writes.connectionLost();
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const answered of asked) answered(LOST);
    const next = comeback(code, reason, this.#attempt);
    if (!next.again) return this.#on.state('stopped', { why: why ?? next.why, code });
    this.#attempt += 1;
    this.#retry = setTimeout(() => this.#connect(), next.after);
    this.#on.state('waiting', { why: why ?? next.why, after: next.after, code });
  }
}
