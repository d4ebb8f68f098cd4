// UserSigs that run out, on clocks that are wrong: the session goes on where new sigs can be had, and nobody is asked in a loop.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';
import { lifeOf } from '../../../../web-demo/sdk/renewal.js';
import { World } from '../world.mjs';

const HOUR_MS = 3_600_000;
const LIKE = { groupID: 'live', key: 'like' };

/** A sig as the official generators write it, but for its signature. */
function sign(madeAt, lifeMs) {
  const text = JSON.stringify({ 'TLS.ver': '2.0', 'TLS.identifier': 'ann', 'TLS.sdkappid': 1, 'TLS.expire': lifeMs / 1_000, 'TLS.time': Math.floor(madeAt / 1_000), 'TLS.sig': 'x' });
  return deflateSync(text).toString('base64').replaceAll('+', '*').replaceAll('/', '-').replaceAll('=', '_');
}

const runsOutAt = (sig) => {
  const read = JSON.parse(inflateSync(Buffer.from(sig.replaceAll('*', '+').replaceAll('-', '/').replaceAll('_', '='), 'base64')));
  return (read['TLS.time'] + read['TLS.expire']) * 1_000;
};

/** A world whose client is `ahead` of the gateway's clock, with a gateway that keeps to its own, and a back end that signs by it. */
class Sigs extends World {
  logins = [];
  asked = 0;
  #ahead;
  #life;
  #runsOut;

  constructor(ahead, life) {
    super();
    this.#ahead = ahead;
    this.#life = life;
    this.auto = {
      ping: () => ({}),
      increaseGroupCounter: ({ groupID, key, value }) => ({ groupID, key, value, version: 1 }),
      login: ({ userSig }) => {
        this.logins.push(userSig);
        const until = runsOutAt(userSig);
        if (this.there > until) return 70001;
        this.#runsOut = until;
        return { userID: 'ann', expiresAt: until / 1_000, admin: false };
      },
    };
  }

  /** The gateway's time. */
  get there() {
    return this.at - this.#ahead;
  }

  sign = () => sign(this.there, this.#life);

  getUserSig = () => {
    this.asked += 1;
    return this.sign();
  };

  /** Moves on a second at a time, with a gateway that lets everybody in and ends a session whose sig runs out. */
  async live(ms) {
    for (const end = this.at + ms; this.at < end;) {
      await this.pass(1_000);
      await this.tend();
    }
  }

  async tend() {
    if (this.socket.readyState === 0) this.socket.open();
    // The life of a sig is unpacked outside of this world's time.
    for (let turn = 0; turn < 5; turn += 1) await this.settle();
    if (this.socket.readyState === 1 && this.there > this.#runsOut) this.expire();
    await this.settle();
  }

  expire() {
    this.socket.say({ event: 'KICKED_OUT', data: { type: 'userSigExpired' } });
    this.socket.end(4501, 'the UserSig ran out');
  }

  async enter(options = {}) {
    const chat = this.chat({ getUserSig: this.getUserSig, ...options });
    const events = [];
    for (const name of ['sdkStateNotReady', 'kickedOut', 'error']) chat.on(name, ({ data }) => events.push([name, data]));
    const login = chat.login({ userID: 'ann', ...(options.userSig && { userSig: options.userSig }) });
    await this.settle();
    await this.tend();
    await login;
    return { chat, events };
  }
}

for (const [words, ahead] of [['right', 0], ['behind by 5 hours', -5 * HOUR_MS], ['ahead by 5 hours', 5 * HOUR_MS], ['ahead by a second less than a life', HOUR_MS - 1_000]]) {
  test(`a clock that is ${words}: sigs that live an hour are renewed once an hour, without a break`, async () => {
    const world = new Sigs(ahead, HOUR_MS);
    const { chat, events } = await world.enter();
    await world.live(10 * HOUR_MS);
    assert.equal((await chat.tap(LIKE)).code, 0);
    assert.deepEqual(events, []);
    assert.equal(world.sockets.length, 1);
    assert.ok(world.logins.length >= 11 && world.logins.length <= 14, `${world.logins.length} logins`);
    assert.equal(world.asked, world.logins.length);
  });
}

test('a sig of the login that has hardly any life left is renewed before it runs out', async () => {
  const world = new Sigs(0, HOUR_MS);
  const { events } = await world.enter({ userSig: sign(world.at - HOUR_MS / 2, HOUR_MS) });
  await world.live(2 * HOUR_MS);
  assert.deepEqual([events, world.sockets.length], [[], 1]);
});

for (const [words, left] of [['ahead of them', -3_600], ['ahead of them, but for a moment', 1.5]]) test(`sigs that cannot be read, and a clock ${words}: asked for ever more seldom, and told`, async () => {
  const world = new World();
  let asked = 0;
  world.auto = { ping: () => ({}), login: () => ({ userID: 'ann', expiresAt: world.at / 1_000 + left, admin: false }) };
  const chat = world.chat({ getUserSig: () => `opaque.${(asked += 1)}` });
  const faults = [];
  chat.on('error', ({ data }) => faults.push(data));
  const login = chat.login({ userID: 'ann' });
  await world.settle();
  world.socket.open();
  await login;
  await world.pass(HOUR_MS);
  assert.ok(asked <= 16, `${asked} in an hour`);
  assert.equal(faults.length, asked - 1);
  assert.match(faults[0].message, /clock ahead/);
  assert.equal(chat.isReady(), true);
});

test('a back end that is away while the sig runs out is not asked every second', async () => {
  const world = new Sigs(0, HOUR_MS);
  let asked = 0;
  const { chat, events } = await world.enter({
    getUserSig: () => {
      asked += 1;
      if (asked > 1) throw new Error('the back end is away');
      return world.sign();
    },
  });
  await world.live(HOUR_MS - 1_000);
  assert.equal(chat.isReady(), true);
  assert.ok(asked >= 3 && asked <= 14, `${asked}`);
  assert.deepEqual(events, Array(asked - 1).fill(['error', new Error('the back end is away')]));
});

test('4501 with getUserSig: back with a new sig, and whatever waited counts', async () => {
  const world = new Sigs(0, HOUR_MS);
  const { chat, events } = await world.enter();
  const states = [];
  chat.on('netStateChange', ({ data }) => states.push([data.state, data.code]));
  // A tab that was frozen: no timer ran.
  world.sleep(5 * HOUR_MS);
  const [used] = world.logins;
  world.expire();
  const tap = chat.tap(LIKE);
  await world.live(2_000);
  assert.equal((await tap).code, 0);
  assert.deepEqual(events, []);
  assert.equal(chat.isReady(), true);
  assert.deepEqual(states, [['disconnected', 4501], ['connecting', undefined], ['connected', undefined]]);
  assert.equal(world.logins.length, 2);
  assert.notEqual(world.logins[1], used);
});

test('4501 without getUserSig ends the session, and says why', async () => {
  const world = new Sigs(0, HOUR_MS);
  const { chat, events } = await world.enter({ getUserSig: undefined, userSig: world.sign() });
  world.expire();
  await world.live(100_000);
  assert.deepEqual(events, [['kickedOut', { type: 'userSigExpired' }], ['sdkStateNotReady', undefined]]);
  assert.equal(world.sockets.length, 1);
  await assert.rejects(chat.tap(LIKE), { code: 2999 });
});

test('4501 over and over: the pauses grow', async () => {
  const world = new Sigs(0, HOUR_MS);
  world.chance = 1;
  await world.enter();
  for (let turn = 0; turn < 120; turn += 1) {
    await world.pass(1_000);
    if (world.socket.readyState === 0) world.socket.open();
    await world.settle();
    if (world.socket.readyState === 1) world.expire();
  }
  assert.ok(world.sockets.length >= 5 && world.sockets.length <= 13, `${world.sockets.length} connections in two minutes`);
});

test('getUserSig gives a sig that has run out: asked again a few times, told each time but the first, and then it is over', async () => {
  const world = new Sigs(0, HOUR_MS);
  const old = world.sign();
  let gives = () => world.sign();
  const { chat, events } = await world.enter({ getUserSig: () => gives() });
  world.sleep(2 * HOUR_MS);
  gives = () => old;
  world.expire();
  await world.live(5_000);
  gives = () => world.sign();
  await world.live(60_000);
  assert.equal(chat.isReady(), true, 'a cache that was stale for a moment');
  assert.ok(events.every(([name, fault]) => name === 'error' && fault.code === 70001));
  events.length = 0;
  gives = () => old;
  world.socket.end();
  await world.live(600_000);
  assert.equal(chat.isReady(), false);
  assert.deepEqual(events.map(([name, fault]) => [name, fault?.code]), [...Array(5).fill(['error', 70001]), ['sdkStateNotReady', undefined]]);
  const { length } = world.sockets;
  await world.live(600_000);
  assert.equal(world.sockets.length, length);
});

test('a login whose own sig has run out is tried with one of getUserSig', async () => {
  const world = new Sigs(0, HOUR_MS);
  const chat = world.chat({ getUserSig: world.getUserSig });
  const login = chat.login({ userID: 'ann', userSig: sign(world.at - 2 * HOUR_MS, HOUR_MS) });
  await world.settle();
  await world.live(2_000);
  assert.equal((await login).code, 0);
  assert.equal(world.asked, 1);
});

test("the life that a sig names is read from every generator's", async () => {
  // In the dress of the Go library (stored blocks, a newline at the end), at zlib's first level, and as made here.
  const stored = 'eAEBrABT-3siVExTLnZlciI6IjIuMCIsIlRMUy5pZGVudGlmaWVyIjoieGlhb2p1biIsIlRMUy5zZGthcHBpZCI6MTQwMDAwMDAwMCwiVExTLmV4cGlyZSI6MTU1NTIwMDAsIlRMUy50aW1lIjoxNzAwMDAwMDAwLCJUTFMuc2lnIjoiTHZBN2QvSXc3Z1NzbnNrdlZ6QkRQT0NDRGJ1TkN3NEdId1RDMGJpcCtCND0ifQrfwzH8';
  const fast = 'eAGrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogGhKrSjILEoFipuamhoBZSCiJZm5IDFzVLXFmelAC33KHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWq5AN-DMfw_';
  assert.deepEqual(await Promise.all([stored, fast].map(lifeOf)), [15_552_000_000, 15_552_000_000]);
  for (let life = 1; life < 40; life += 1) assert.equal(await lifeOf(sign(life, life * 1_000)), life * 1_000);
  for (const none of ['', 'opaque-sig', '!', undefined]) await assert.rejects(lifeOf(none));
});
