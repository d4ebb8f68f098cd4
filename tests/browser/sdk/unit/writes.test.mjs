// Requests, writes and taps: answered, repeated, folded, given up. On a clock and sockets of the test's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joined, World } from '../world.mjs';

const LIKE = { groupID: 'live', key: 'like' };

/** A fake gateway with the rules that matter to a client: it counts, remembers operations, and takes 20 writes in 5 s. */
class Counting {
  value = 0n;
  version = 0;
  refused = 0;
  applied = [];
  #stamps = [];
  #answers = new Map();

  constructor(world) {
    this.world = world;
  }

  /** Takes what has been sent; gives the answers. */
  take(socket) {
    const answers = [];
    for (const frame of socket.fresh()) {
      if (frame.cmd === 'increaseGroupCounter') answers.push(this.#increase(frame));
      else if (frame.cmd === 'ping') answers.push({ id: frame.id, code: 0, data: {} });
    }
    return answers;
  }

  #increase({ id, opID, groupID, key, value }) {
    const known = this.#answers.get(opID);
    if (known) return { id, code: 0, data: { ...known, replayed: true } };
    const { at } = this.world;
    this.#stamps = this.#stamps.filter((stamp) => stamp > at - 5_000);
    if (this.#stamps.length >= 20) {
      this.refused += 1;
      return { id, code: 2996, message: 'too many', retryAfter: this.#stamps[0] + 5_000 - at };
    }
    this.#stamps.push(at);
    this.version += 1;
    this.value += BigInt(value);
    this.applied.push({ at, key, value: BigInt(value) });
    const data = { groupID, key, value: Number(this.value), version: this.version };
    this.#answers.set(opID, data);
    return { id, code: 0, data };
  }
}

/** Answers at once, for `ms`. */
async function serve(world, counting, ms) {
  for (const end = world.at + ms; world.at < end;) {
    await world.settle();
    const { socket } = world;
    for (const answer of counting.take(socket)) socket.say(answer);
    await world.pass(20);
  }
}

test('a write: its frame, its result, its event', async () => {
  const world = new World();
  const { chat, events } = await world.ann();
  const writes = [chat.increaseGroupCounter({ ...LIKE, value: 5 }), chat.decreaseGroupCounter({ ...LIKE, value: 9_007_199_254_740_993n }), chat.setGroupCounters({ groupID: 'live', counters: { like: 1, gift: -(2n ** 63n) } })];
  await world.settle();
  const [one, two, three] = world.socket.fresh();
  assert.match(one.opID, /^[!-~]{8,64}$/);
  assert.equal(new Set([one.opID, two.opID, three.opID]).size, 3);
  assert.deepEqual(one, { id: one.id, cmd: 'increaseGroupCounter', groupID: 'live', key: 'like', value: 5, opID: one.opID });
  assert.equal(two.value, '9007199254740993');
  assert.deepEqual(three.counters, { like: 1, gift: '-9223372036854775808' });
  world.socket.say({ id: one.id, code: 0, data: { ...LIKE, value: 5, version: 1 } });
  world.socket.push('live', 'like', 5, 1);
  assert.deepEqual(await writes[0], { code: 0, data: { ...LIKE, value: 5, version: 1 } });
  assert.deepEqual(events, [['onGroupCounterUpdated', { ...LIKE, value: 5 }]], 'told once, by whichever came first');
  world.socket.say({ id: two.id, code: 10004, message: 'beyond 64 bits' });
  await assert.rejects(writes[1], { name: 'ChatError', code: 10004, message: 'beyond 64 bits' });
  world.socket.say(`{"id":${three.id},"code":0,"data":{"groupID":"live","counters":{"like":1,"gift":-9223372036854775808},"version":2}}`);
  assert.deepEqual(await writes[2], { code: 0, data: { groupID: 'live', counters: { like: 1, gift: -(2n ** 63n) }, version: 2 } });
});

test('a value that is not exact is refused before anything is sent', async () => {
  const world = new World();
  const { chat } = await world.ann();
  await assert.rejects(chat.increaseGroupCounter({ ...LIKE, value: 2 ** 53 }), { code: 10004, message: /bigint/ });
  await assert.rejects(chat.decreaseGroupCounter({ ...LIKE, value: 1.5 }), { code: 10004 });
  await assert.rejects(chat.setGroupCounters({ groupID: 'live', counters: { like: 1, gift: 2 ** 60 } }), { code: 10004, message: /gift/ });
  await assert.rejects(chat.tap({ ...LIKE, value: '1' }), { code: 10004 });
  assert.deepEqual(world.socket.fresh().filter(({ cmd }) => cmd !== 'login'), []);
});

test('integers: as they are, always bigint, or always a number that is infinite where it does not fit', async () => {
  for (const [integers, five, large] of [['auto', 5, 2n ** 60n], ['bigint', 5n, 2n ** 60n], ['number', 5, Infinity]]) {
    const world = new World();
    const { chat, events } = await world.ann({ integers });
    const join = chat.joinGroup({ groupID: 'live' });
    world.socket.answer('joinGroup', joined({ like: 5 }, 5));
    const { data } = await join;
    assert.deepEqual([data.counters, data.version], [{ like: five }, 5]);
    world.socket.say(`{"event":"GROUP_COUNTER_UPDATED","data":{"groupID":"live","key":"like","value":${2n ** 60n},"version":6}}`);
    const get = chat.getGroupCounters({ groupID: 'live' });
    const { id } = world.socket.frame('getGroupCounters');
    world.socket.say(`{"id":${id},"code":0,"data":{"groupID":"live","counters":{"like":${2n ** 60n}},"version":6,"epoch":"e1"}}`);
    assert.deepEqual(events.at(-1), ['onGroupCounterUpdated', { ...LIKE, value: large }]);
    assert.deepEqual((await get).data.counters, { like: large });
  }
});

test('a write whose answer is lost goes out again with the same operation id, before newer ones, and counts once', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const counting = new Counting(world);
  const first = chat.increaseGroupCounter({ ...LIKE, value: 1 });
  await world.settle();
  counting.take(world.socket);
  world.socket.end();
  const second = chat.increaseGroupCounter({ ...LIKE, value: 10 });
  await world.pass(0);
  await world.admit();
  const opIDs = world.socket.sent.map((text) => JSON.parse(text)).filter(({ opID }) => opID).map(({ value }) => value);
  assert.deepEqual(opIDs, [1, 10]);
  for (const answer of counting.take(world.socket)) world.socket.say(answer);
  assert.equal((await first).data.replayed, true);
  assert.equal((await second).data.value, 11);
  assert.equal(counting.value, 11n);
});

test('connections that end at any moment: every write counts exactly once', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const counting = new Counting(world);
  let seed = 3;
  const random = (below) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
  const outcomes = [];
  let sum = 0n;
  for (let turn = 0; turn < 150; turn += 1) {
    if (random(2)) {
      sum += BigInt(turn);
      outcomes.push(chat[random(2) ? 'tap' : 'increaseGroupCounter']({ ...LIKE, value: turn }));
    }
    const { socket } = world;
    if (socket.readyState === 0) await world.admit();
    const answers = socket.readyState === 1 ? counting.take(socket) : [];
    if (random(6) === 0) socket.end();
    else for (const answer of answers) socket.say(answer);
    await world.pass(300);
  }
  for (let turn = 0; turn < 200; turn += 1) {
    if (world.socket.readyState === 0) await world.admit();
    for (const answer of counting.take(world.socket)) world.socket.say(answer);
    await world.pass(300);
  }
  await Promise.all(outcomes);
  assert.equal(counting.value, sum);
});

test('what an outage has delayed waits for its place in the throttle; what is one too many is told so', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const counting = new Counting(world);
  world.socket.end();
  const late = Array.from({ length: 50 }, () => chat.increaseGroupCounter({ ...LIKE, value: 1 }));
  await world.pass(0);
  await world.admit();
  await serve(world, counting, 16_000);
  await Promise.all(late);
  assert.deepEqual([counting.value, counting.refused], [50n, 0]);
  await serve(world, counting, 6_000);
  const burst = Array.from({ length: 21 }, () => chat.increaseGroupCounter({ ...LIKE, value: 1 }));
  const outcomes = Promise.allSettled(burst);
  await serve(world, counting, 100);
  const [refused] = (await outcomes).filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
  assert.deepEqual([refused.code, refused.retryAfter > 4_000, counting.value], [2996, true, 70n]);
});

test('a write is given up after 60 s, and says what is known of its fate', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const sent = chat.increaseGroupCounter({ ...LIKE, value: 1 });
  const sentOut = assert.rejects(sent, { code: 2801, message: /may have counted or not/ });
  await world.settle();
  world.socket.end(4010);
  const never = assert.rejects(chat.increaseGroupCounter({ ...LIKE, value: 1 }), { code: 2801, message: /was not sent/ });
  const tap = assert.rejects(chat.tap(LIKE), { code: 2801, message: /was not sent/ });
  await world.pass(59_999);
  let over = false;
  never.then(() => (over = true));
  await world.settle();
  assert.equal(over, false);
  await world.pass(1);
  await Promise.all([sentOut, never, tap]);
});

const ENDS = {
  logout: (world, chat) => chat.logout(),
  destroy: (world, chat) => chat.destroy(),
  'a kick': async (world) => world.socket.end(4504, 'kicked by an administrator'),
};
for (const [words, end] of Object.entries(ENDS)) {
  test(`${words} cuts writes short: what was sent may have counted, and is told how to learn it; the rest has not`, async () => {
    const world = new World();
    const { chat } = await world.ann();
    const sent = [chat.increaseGroupCounter({ ...LIKE, value: 1 }), chat.setGroupCounters({ groupID: 'live', counters: { like: 2n ** 60n } }), chat.tap(LIKE), chat.tap(LIKE)];
    await world.settle();
    const frames = world.socket.fresh();
    assert.equal(frames.length, 3);
    const waits = chat.tap(LIKE);
    const read = chat.getGroupCounters({ groupID: 'live' });
    const outcomes = Promise.allSettled([...sent, waits, read]);
    await world.settle();
    await end(world, chat);
    const faults = (await outcomes).map(({ reason }) => reason);
    assert.deepEqual(faults.map(({ code }) => code), [2801, 2801, 2801, 2801, 2999, 2999]);
    for (const [n, fault] of faults.slice(0, 4).entries()) {
      assert.match(fault.message, /may have counted or not/);
      const { id, ...frame } = frames[Math.min(n, 2)];
      assert.deepEqual(JSON.parse(JSON.stringify({ ...fault.write, id }, (_, value) => (typeof value === 'bigint' ? String(value) : value))), { ...frame, id });
    }
    assert.equal(faults[2].write.value, 2n);
    for (const fault of faults.slice(4)) assert.equal(fault.write, undefined);
  });
}

test('a write whose fate is open can be given again as it was: it has the same opID', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const cut = chat.increaseGroupCounter({ ...LIKE, value: 3 }).catch((fault) => fault);
  await world.settle();
  const { id, ...frame } = world.socket.frame('increaseGroupCounter');
  await chat.logout();
  const { write } = await cut;
  const login = chat.login({ userID: 'ann', userSig: 'sig-1' });
  await world.admit();
  await login;
  const again = chat[write.cmd](write);
  await world.settle();
  const repeated = world.socket.frame('increaseGroupCounter');
  assert.deepEqual({ ...repeated, id }, { ...frame, id });
  world.socket.say({ id: repeated.id, code: 0, data: { ...LIKE, value: 3, version: 1, replayed: true } });
  assert.equal((await again).data.replayed, true);
});

test('a machine that slept does not repeat a write that the gateway may have forgotten', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const write = assert.rejects(chat.increaseGroupCounter({ ...LIKE, value: 1 }), { code: 2801 });
  await world.settle();
  world.sleep(3_600_000);
  world.socket.end();
  await world.pass(0);
  await world.admit();
  await write;
  assert.deepEqual(world.socket.fresh(), []);
});

test('10002 and 10006 leave a write to be sent again, after the pause asked for', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const write = chat.increaseGroupCounter({ ...LIKE, value: 1 });
  await world.settle();
  const { id, opID } = world.socket.frame('increaseGroupCounter');
  world.socket.say({ id, code: 10002, message: 'the disk failed' });
  await world.pass(999);
  assert.deepEqual(world.socket.fresh(), []);
  await world.pass(1);
  assert.equal(world.socket.frame('increaseGroupCounter').opID, opID);
  world.socket.say({ id, code: 10006, message: 'no room', retryAfter: 300 });
  await world.pass(300);
  world.socket.answer('increaseGroupCounter', { ...LIKE, value: 1, version: 1 });
  assert.equal((await write).data.value, 1);
});

test('what is not safe to repeat is told so when the connection ends; reads are asked again', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const create = assert.rejects(chat.createGroup({ type: 'ChatRoom', name: 'New' }), { code: 2801, message: /may have counted or not/ });
  const get = chat.getGroupCounters({ groupID: 'live', keyList: ['like'] });
  await world.settle();
  world.socket.end();
  await create;
  await world.pass(0);
  await world.admit();
  assert.deepEqual(world.socket.frame('getGroupCounters').keyList, ['like']);
});

test('requests have a limit in time and in number, and no more than 60 are under way', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const calls = Array.from({ length: 256 }, () => assert.rejects(chat.getGroupOnlineMemberCount('live'), { code: 2801 }));
  await assert.rejects(chat.getGroupOnlineMemberCount('live'), { code: 10006 });
  await world.settle();
  assert.equal(world.socket.sent.length, 1 + 60);
  await world.pass(10_000);
  await Promise.all(calls);
});

test('groups to join again come before all that waits, however much that is', async () => {
  const world = new World();
  const { chat } = await world.ann();
  for (let n = 0; n < 100; n += 1) world.socket.push(`g${n}`, 'like', 1, 1);
  world.socket.end();
  const calls = Array.from({ length: 256 }, () => chat.getGroupOnlineMemberCount('g1').catch(() => {}));
  await world.pass(0);
  await world.admit();
  world.auto = { joinGroup: () => joined({ like: 1 }, 1) };
  for (const { id, cmd } of world.socket.fresh()) if (cmd === 'joinGroup') world.socket.say({ id, code: 0, data: joined({ like: 1 }, 1) });
  await world.settle();
  const cmds = world.socket.sent.map((text) => JSON.parse(text).cmd);
  assert.deepEqual(cmds.slice(1, 101), Array.from({ length: 100 }, () => 'joinGroup'));
  assert.equal(cmds.length, 101 + 60);
  await chat.destroy();
  await Promise.all(calls);
});

test('abort: what waits is never sent, what was sent is not waited for', async () => {
  const world = new World();
  const { chat } = await world.ann();
  await assert.rejects(chat.joinGroup({ groupID: 'live', signal: AbortSignal.abort() }), { name: 'AbortError' });
  const sent = new AbortController();
  const waiting = new AbortController();
  const one = assert.rejects(chat.increaseGroupCounter({ ...LIKE, value: 1, signal: sent.signal }), { message: 'enough' });
  await world.settle();
  assert.equal(world.socket.frame('increaseGroupCounter').value, 1);
  sent.abort(new Error('enough'));
  await one;
  world.socket.end();
  const two = assert.rejects(chat.dismissGroup('live', { signal: waiting.signal }), { name: 'AbortError' });
  waiting.abort();
  await two;
  await world.pass(0);
  await world.admit();
  assert.deepEqual(world.socket.fresh(), []);
});

test('taps: the first goes at once, the others are folded, and all resolve with the write that brought them', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const taps = [chat.tap({ ...LIKE, value: 1 })];
  await world.settle();
  for (let value = 2; value < 6; value += 1) taps.push(chat.tap({ ...LIKE, value }));
  await world.settle();
  assert.deepEqual(world.socket.fresh().map(({ cmd, value }) => [cmd, value]), [['increaseGroupCounter', '1']]);
  world.socket.say({ id: JSON.parse(world.socket.sent.at(-1)).id, code: 0, data: { ...LIKE, value: 1, version: 1 } });
  await world.pass(1_000);
  world.socket.answer('increaseGroupCounter', { ...LIKE, value: 15, version: 2 });
  const answers = await Promise.all(taps);
  assert.equal(answers[0].data.value, 1);
  assert.equal(new Set(answers.slice(1)).size, 1);
  assert.equal(answers[4].data.value, 15);
});

test('a minute of fast fingers on three counters: nothing is lost, nobody sees 2996, the throttle is used evenly', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const counting = new Counting(world);
  const taps = [];
  const start = world.at;
  for (let turn = 0; turn < 1_000; turn += 1) {
    taps.push(chat.tap({ groupID: 'live', key: `k${turn % 3}` }));
    await serve(world, counting, 50);
  }
  await serve(world, counting, 1_000);
  await Promise.all(taps);
  assert.deepEqual([counting.value, counting.refused], [1_000n, 0]);
  assert.ok(world.at - start > 60_000);
  assert.ok(counting.applied.length <= (20 * (world.at - start)) / 5_000, `${counting.applied.length} increases`);
  const gaps = counting.applied.slice(1).map(({ at }, n) => at - counting.applied[n].at);
  assert.ok(Math.max(...gaps) < 400, `${Math.max(...gaps)} ms without a write`);
});

test('another tab of the same user uses the throttle up: taps wait as long as they are told, and all count', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const taps = [chat.tap(LIKE)];
  await world.settle();
  taps.push(chat.tap(LIKE), chat.tap(LIKE));
  const { opID } = world.socket.frame('increaseGroupCounter');
  world.socket.say({ id: JSON.parse(world.socket.sent.at(-1)).id, code: 2996, message: 'too many', retryAfter: 3_000 });
  await world.pass(2_999);
  assert.deepEqual(world.socket.fresh(), []);
  await world.pass(1);
  const again = world.socket.frame('increaseGroupCounter');
  assert.equal(again.opID, opID);
  const counting = new Counting(world);
  world.socket.say({ id: again.id, code: 0, data: { ...LIKE, value: 1, version: 1 } });
  await serve(world, counting, 1_000);
  await Promise.all(taps);
  assert.equal(counting.value, 2n);
});

test('taps while the connection is away add up to one increase', async () => {
  const world = new World();
  const { chat } = await world.ann();
  world.socket.end();
  const taps = Array.from({ length: 40 }, () => chat.tap({ ...LIKE, value: 2n }));
  await world.pass(0);
  await world.admit();
  world.socket.answer('increaseGroupCounter', { ...LIKE, value: 80, version: 1 });
  await Promise.all(taps);
  assert.deepEqual(world.socket.sent.map((text) => JSON.parse(text).value), [undefined, '80']);
});

test('a tap is taken back by its signal before it is sent, and only that tap', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const counting = new Counting(world);
  const first = chat.tap(LIKE);
  await world.settle();
  const control = new AbortController();
  const back = assert.rejects(chat.tap({ ...LIKE, value: 100, signal: control.signal }), { name: 'AbortError' });
  const kept = chat.tap(LIKE);
  control.abort();
  await serve(world, counting, 1_000);
  await Promise.all([first, back, kept]);
  assert.equal(counting.value, 2n);
  const lonely = new AbortController();
  await serve(world, counting, 20);
  const one = chat.tap(LIKE);
  await world.settle();
  const none = assert.rejects(chat.tap({ ...LIKE, signal: lonely.signal }), { name: 'AbortError' });
  lonely.abort();
  await serve(world, counting, 1_000);
  await Promise.all([one, none]);
  assert.equal(counting.applied.length, 3, 'a fold that nobody waits for is not sent');
});

test('a page that is hidden sends its taps at once', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const counting = new Counting(world);
  const one = chat.tap(LIKE);
  await world.settle();
  for (const answer of counting.take(world.socket)) world.socket.say(answer);
  await one;
  const two = chat.tap(LIKE);
  await world.settle();
  assert.equal(counting.value, 1n);
  world.document.visibilityState = 'hidden';
  world.document.dispatchEvent(new Event('visibilitychange'));
  await world.settle();
  for (const answer of counting.take(world.socket)) world.socket.say(answer);
  await two;
  assert.equal(counting.value, 2n);
});

test('taps have a limit in number of counters', async () => {
  const world = new World();
  const { chat } = await world.ann();
  world.socket.end();
  const most = [chat.tap(LIKE)];
  for (let n = 1; n < 256; n += 1) most.push(chat.tap({ ...LIKE, key: `k${n}` }));
  const over = Promise.allSettled(most);
  await world.settle();
  await assert.rejects(chat.tap({ ...LIKE, key: 'one more' }), { code: 10006 });
  await chat.destroy();
  for (const { reason } of await over) assert.equal(reason.code, 2999);
  assert.equal(world.timers, 0);
});

test('a refusal reaches the tap', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const tap = chat.tap(LIKE);
  await world.settle();
  world.socket.answer('increaseGroupCounter', 10007);
  await assert.rejects(tap, { code: 10007 });
});
