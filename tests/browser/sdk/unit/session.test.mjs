// Logging in, losing the connection and coming back, on a clock and sockets of the test's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import TencentCloudChat, { create } from '../../../../web-demo/sdk/index.js';
import { joined, World } from '../world.mjs';

const names = (events) => events.map(([name, data]) => (name === 'netStateChange' ? data.state : name));
const LOGIN = { userID: 'ann', userSig: 'sig-1' };

test('login: connects, logs in, says that it is ready', async () => {
  const world = new World();
  const chat = world.chat();
  const seen = [];
  for (const name of Object.values(TencentCloudChat.EVENT)) chat.on(name, (event) => seen.push(event));
  const login = chat.login(LOGIN);
  await world.settle();
  assert.equal(world.socket.url, 'ws://fake/ws');
  assert.equal(chat.isReady(), false);
  world.socket.open();
  await world.settle();
  const [frame] = world.socket.fresh();
  assert.deepEqual(frame, { id: frame.id, cmd: 'login', userID: 'ann', userSig: 'sig-1' });
  world.socket.say({ id: frame.id, code: 0, data: { userID: 'ann', expiresAt: 1, admin: false } });
  assert.deepEqual(await login, { code: 0, data: { userID: 'ann', expiresAt: 1, admin: false } });
  assert.equal(chat.isReady(), true);
  assert.deepEqual(seen, [{ name: 'netStateChange', data: { state: 'connecting' } }, { name: 'netStateChange', data: { state: 'connected' } }, { name: 'sdkStateReady', data: undefined }]);
});

test('login: a refusal is told with its code, and nothing goes on', async () => {
  const world = new World();
  const chat = world.chat();
  const login = chat.login(LOGIN);
  await world.settle();
  world.socket.open();
  await world.settle();
  const { socket } = world;
  socket.answer('login', 70009);
  await assert.rejects(login, { name: 'ChatError', code: 70009, message: 'refused with 70009' });
  socket.end(4500, 'the UserSig was not accepted');
  await world.pass(100_000);
  assert.deepEqual([world.sockets.length, world.timers, chat.isReady()], [1, 0, false]);
});

test('login: tries on for as long as the timeout, then says so; the next login begins anew', async () => {
  const world = new World();
  const chat = world.chat();
  const login = chat.login(LOGIN);
  const refused = assert.rejects(login, { code: 2801, message: /^Not logged in within 10 s\. The connection was lost\.$/ });
  await world.settle();
  world.socket.refuse();
  world.chance = 1;
  await world.pass(1_000);
  assert.equal(world.sockets.length, 2);
  world.socket.end();
  await world.pass(4_000);
  assert.equal(world.sockets.length, 3);
  await world.pass(5_000);
  await refused;
  assert.equal(world.timers, 0);
  const again = chat.login(LOGIN);
  await world.admit();
  assert.equal((await again).code, 0);
});

test('login: what was in its way is told', async () => {
  const unsigned = new Error('the back end is away');
  const unsafe = new Error('An insecure WebSocket connection may not be initiated from a page loaded over HTTPS.');
  const closed = new Error('connect ECONNREFUSED 127.0.0.1:1');
  const cases = [
    ['nobody listens, or the path is wrong', {}, (world) => world.socket?.readyState === 0 && world.socket.refuse(), /No way to ws:\/\/fake\/ws: nobody listens, wrong path or origin/],
    ['the same, where the client says more', {}, (world) => world.socket?.readyState === 0 && world.socket.refuse({ message: closed.message, error: closed }), /No way to ws:\/\/fake\/ws: connect ECONNREFUSED/, closed],
    ['a handshake without an end', {}, () => {}, /ws:\/\/fake\/ws has not answered/],
    ['a login without an answer', {}, (world) => world.socket?.readyState === 0 && world.socket.open(), /ws:\/\/fake\/ws has not answered/],
    ['getUserSig throws', { getUserSig: () => { throw unsigned; } }, () => {}, /getUserSig: Error: the back end is away/, unsigned],
    ['getUserSig rejects', { getUserSig: async () => { throw unsigned; } }, () => {}, /getUserSig: Error: the back end is away/, unsigned],
    ['getUserSig has no end', { getUserSig: () => new Promise(() => {}) }, () => {}, /getUserSig has not answered/],
    ['the browser does not allow it', { WebSocket: class { constructor() { throw unsafe; } } }, () => {}, /insecure WebSocket/, unsafe],
    ['the gateway closes', {}, (world) => world.socket?.readyState === 0 && world.socket.end(1013, 'too many connections'), /too many connections/],
  ];
  for (const [words, { getUserSig, ...env }, happens, message, cause] of cases) {
    const world = new World();
    world.chance = 1;
    const chat = world.chat({ getUserSig, env: { ...world.env, ...env } });
    const login = chat.login({ userID: 'ann', ...(!getUserSig && { userSig: 'sig-1' }) }).then(() => assert.fail(words), (fault) => fault);
    for (let turn = 0; turn < 10; turn += 1) {
      await world.pass(500);
      happens(world);
      await world.pass(500);
    }
    const fault = await login;
    assert.equal(fault.code, 2801, words);
    assert.match(fault.message, message, words);
    assert.match(fault.message, /^Not logged in within 10 s\. /, words);
    assert.equal(fault.cause, cause, words);
    assert.equal(world.timers, 0);
  }
});

test('login where there is no WebSocket: refused at once, with what to do', async () => {
  const world = new World();
  const chat = world.chat({ env: { ...world.env, WebSocket: undefined } });
  await assert.rejects(chat.login(LOGIN), { name: 'ChatError', code: 10004, message: /WebSocket.*env/ });
  assert.deepEqual([world.timers, chat.isReady()], [0, false]);
});

test('login again: the same user renews, another one is refused, one under way is shared', async () => {
  const world = new World();
  const chat = world.chat();
  const both = [chat.login(LOGIN), chat.login(LOGIN)];
  await world.admit();
  const [one, two] = await Promise.all(both);
  assert.equal(one, two);
  assert.equal(world.sockets.length, 1);
  const again = chat.login({ userID: 'ann', userSig: 'sig-2' });
  await world.settle();
  const frame = world.socket.frame('login');
  assert.equal(frame.userSig, 'sig-2');
  world.socket.say({ id: frame.id, code: 0, data: { userID: 'ann', expiresAt: 1, admin: false, repeatLogin: true } });
  const { data } = await again;
  assert.equal(data.repeatLogin, true);
  assert.equal(typeof data.errorInfo, 'string');
  await assert.rejects(chat.login({ userID: 'ben', userSig: 'x' }), { code: 10004 });
});

test('calls before a login, after a logout and after destroy are refused with 2999', async () => {
  const world = new World();
  const idle = world.chat();
  for (const call of [() => idle.joinGroup({ groupID: 'live' }), () => idle.tap({ groupID: 'live', key: 'like' }), () => idle.increaseGroupCounter({ groupID: 'live', key: 'like', value: 1 })]) {
    await assert.rejects(call(), { code: 2999, message: /Log in first/ });
  }
  const { chat, events } = await world.ann();
  const waiting = [chat.joinGroup({ groupID: 'live' }), chat.tap({ groupID: 'live', key: 'like' })].map((call) => assert.rejects(call, { code: 2999 }));
  await chat.logout();
  await Promise.all(waiting);
  assert.deepEqual(names(events), ['disconnected', 'sdkStateNotReady']);
  assert.equal(world.socket.closedWith, 1000);
  await chat.destroy();
  await assert.rejects(chat.login(LOGIN), { code: 2999, message: /Destroyed/ });
  await assert.rejects(chat.getGroupCounters({ groupID: 'live' }), { code: 2999, message: /Destroyed/ });
  assert.equal(world.timers, 0);
});

test('a lost connection: back with jitter, a fresh sig, its groups joined again, and then the rest', async () => {
  const world = new World();
  let sigs = 1;
  const { chat, events } = await world.ann({ getUserSig: async (userID) => `${userID}-${(sigs += 1)}` });
  const join = chat.joinGroup({ groupID: 'live' });
  world.socket.answer('joinGroup', joined({ like: 5 }, 5));
  await join;
  events.length = 0;
  world.chance = 0.5;
  world.socket.end();
  assert.deepEqual(events, [['netStateChange', { state: 'disconnected', code: 1006, message: 'The connection was lost.', retryIn: 250 }]]);
  assert.equal(chat.isReady(), true);
  const late = chat.getGroupOnlineMemberCount('live');
  await world.pass(249);
  assert.equal(world.sockets.length, 1);
  await world.pass(1);
  world.socket.open();
  await world.settle();
  assert.equal(world.socket.frame('login').userSig, 'ann-2');
  world.socket.say({ id: JSON.parse(world.socket.sent[0]).id, code: 0, data: { userID: 'ann', expiresAt: 1, admin: false } });
  await world.settle();
  assert.deepEqual(world.socket.fresh().map(({ cmd }) => cmd), ['joinGroup']);
  const { id } = JSON.parse(world.socket.sent[1]);
  world.socket.say({ id, code: 0, data: joined({ like: 9 }, 9) });
  await world.settle();
  world.socket.answer('getGroupOnlineMemberCount', { groupID: 'live', memberCount: 2 });
  assert.equal((await late).data.memberCount, 2);
  assert.deepEqual(chat.counters('live'), { like: 9 });
  assert.deepEqual(events.slice(1), [['netStateChange', { state: 'connecting' }], ['onGroupCounterUpdated', { groupID: 'live', key: 'like', value: 9 }], ['netStateChange', { state: 'connected' }]]);
});

test('without getUserSig the sig of the login is used again', async () => {
  const world = new World();
  await world.ann();
  world.socket.end();
  await world.pass(500);
  world.socket.open();
  await world.settle();
  assert.equal(world.socket.frame('login').userSig, 'sig-1');
});

test('a sig that cannot be had is told, and asked for again', async () => {
  const world = new World();
  let there = false;
  const { events } = await world.ann({
    getUserSig: () => {
      if (!there) throw new Error('the back end is away');
      return 'sig-2';
    },
  });
  world.chance = 1;
  world.socket.end();
  await world.pass(4_000);
  assert.equal(world.sockets.length, 1);
  assert.ok(events.some(([name, fault]) => name === 'error' && fault.message === 'the back end is away'));
  there = true;
  await world.pass(15_000);
  assert.equal(world.sockets.length, 2);
});

test("the server's hint is followed, also when the page wakes or the network changes", async () => {
  const world = new World();
  const { events } = await world.ann();
  world.chance = 0.25;
  world.socket.end(1012, '{"after":2000,"spread":4000}');
  assert.equal(events[0][1].retryIn, 3_000);
  assert.equal(events[0][1].message, 'The gateway restarts.');
  world.window.dispatchEvent(new Event('online'));
  world.document.dispatchEvent(new Event('visibilitychange'));
  await world.pass(2_999);
  assert.equal(world.sockets.length, 1);
  await world.pass(1);
  assert.equal(world.sockets.length, 2);
});

test('a person may end any pause', async () => {
  const world = new World();
  const { chat } = await world.ann();
  world.socket.end(4010, 'too fast');
  chat.reconnect();
  chat.reconnect();
  await world.settle();
  assert.equal(world.sockets.length, 2);
});

test('the pause grows while nothing works, and starts small again after a steady connection', async () => {
  const world = new World();
  const { events } = await world.ann();
  world.chance = 1;
  const pauses = () => events.filter(([, data]) => data?.retryIn !== undefined).map(([, { retryIn }]) => retryIn);
  await world.pass(6_000);
  const end = async () => {
    world.socket.end();
    await world.pass(pauses().at(-1));
  };
  for (let turn = 0; turn < 7; turn += 1) await end();
  assert.deepEqual(pauses(), [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  await world.admit();
  await end();
  assert.equal(pauses().at(-1), 15_000, 'a connection that was lost at once was none');
  await world.admit();
  await world.pass(6_000);
  world.socket.end();
  assert.equal(pauses().at(-1), 500);
});

for (const [code, kicked] of [[4500, []], [4504, []], [4503, ['kickedOut']]]) {
  test(`close ${code} does not come back by itself`, async () => {
    const world = new World();
    const { chat, events } = await world.ann({ getUserSig: () => 'sig-2' });
    const waiting = assert.rejects(chat.getGroupCounters({ groupID: 'live' }), { code: 2999, message: `the server's words (${code}).` });
    await world.settle();
    world.socket.end(code, "the server's words");
    await waiting;
    assert.deepEqual(names(events), [...kicked, 'disconnected', 'sdkStateNotReady']);
    await world.pass(1_000_000);
    assert.deepEqual([world.sockets.length, world.timers, chat.isReady()], [1, 0, false]);
    const login = chat.login(LOGIN);
    await world.admit();
    await login;
    assert.equal(chat.isReady(), true);
  });
}

test('kicked out: the reason is told', async () => {
  const world = new World();
  const { events } = await world.ann();
  world.socket.say({ event: 'KICKED_OUT', data: { type: 'REST_API_Kick' } });
  world.socket.end(4504, 'kicked by an administrator');
  assert.deepEqual(events[0], ['kickedOut', { type: 'REST_API_Kick' }]);
});

test('a sig that is refused after a reconnect ends the session and says why', async () => {
  const world = new World();
  const { events } = await world.ann();
  world.socket.end();
  await world.pass(500);
  world.socket.open();
  await world.settle();
  world.socket.answer('login', 70001);
  await world.settle();
  assert.deepEqual(names(events), ['disconnected', 'connecting', 'error', 'disconnected', 'sdkStateNotReady']);
  assert.equal(events[2][1].code, 70001);
  await world.pass(1_000_000);
  assert.equal(world.sockets.length, 2);
});

test('a login that finds no room after a reconnect is tried again', async () => {
  const world = new World();
  await world.ann();
  world.socket.end();
  await world.pass(500);
  world.socket.open();
  await world.settle();
  world.socket.answer('login', 10006, { retryAfter: 100 });
  await world.pass(2_000);
  assert.equal(world.sockets.length, 3);
});

test('the sig is renewed in good time', async () => {
  const world = new World();
  let sigs = 0;
  const { chat, events } = await world.ann({ getUserSig: () => `renewed-${(sigs += 1)}` });
  world.auto = { ping: () => ({}), login: () => ({ userID: 'ann', expiresAt: world.at / 1000 + 86_400, admin: false, repeatLogin: true }) };
  await world.pass(3 * 86_400_000);
  assert.deepEqual(world.socket.fresh().filter(({ cmd }) => cmd === 'login').map(({ userSig }) => userSig), ['renewed-1', 'renewed-2', 'renewed-3']);
  assert.deepEqual([events, chat.isReady(), world.sockets.length], [[], true, 1]);
});

test('a sig that comes after a logout is not used', async () => {
  const world = new World();
  let give;
  world.auto = { ping: () => ({}) };
  const { chat } = await world.ann({ getUserSig: () => new Promise((resolve) => (give = resolve)) });
  await world.pass(0.8 * 86_400_000);
  await chat.logout();
  const login = chat.login({ userID: 'ben', userSig: 'sig-ben' });
  give('sig-ann');
  await world.settle();
  world.socket.open();
  await world.settle();
  assert.deepEqual(world.socket.fresh().map(({ userID }) => userID), ['ben']);
  await chat.destroy();
  await assert.rejects(login, { code: 2999 });
});

test('a line that went silent is noticed: by a ping that finds no answer', async () => {
  const world = new World();
  const { events } = await world.ann();
  await world.pass(15_000);
  world.socket.answer('ping', {});
  await world.pass(15_000);
  assert.equal(world.socket.frame('ping').cmd, 'ping');
  await world.pass(1);
  world.socket.push('live', 'like', 1, 1);
  await world.pass(9_999);
  assert.equal(world.sockets.length, 1, 'something was heard: the line is alive');
  await world.pass(25_000);
  assert.deepEqual(names(events), ['onGroupCounterUpdated', 'disconnected', 'connecting']);
  assert.equal(events[1][1].message, 'The line is silent.');
  assert.equal(world.sockets[0].closedWith, 1000);
});

test('waking up, and a change of the network, ask at once whether the line is alive', async () => {
  for (const wake of [(world) => world.document.dispatchEvent(new Event('visibilitychange')), ...['online', 'offline'].map((name) => (world) => world.window.dispatchEvent(new Event(name)))]) {
    const world = new World();
    await world.ann();
    world.sleep(3_600_000);
    wake(world);
    wake(world);
    await world.settle();
    assert.deepEqual(world.socket.fresh().filter(({ cmd }) => cmd === 'ping').length, 1);
    await world.pass(5_000);
    assert.equal(world.sockets.length, 2);
  }
});

test('back online: a pause that nobody asked for ends at once', async () => {
  const world = new World();
  await world.ann();
  world.chance = 1;
  for (let pause = 500; pause < 15_000; pause *= 2) {
    world.socket.end();
    await world.pass(pause);
  }
  world.socket.end();
  world.window.dispatchEvent(new Event('offline'));
  await world.settle();
  assert.equal(world.sockets.length, 6);
  world.window.dispatchEvent(new Event('online'));
  await world.settle();
  assert.equal(world.sockets.length, 7);
});

test('a socket that never opens, and one whose login finds no answer, are given up after the timeout', async () => {
  const world = new World();
  await world.ann();
  world.socket.end();
  await world.pass(0);
  await world.pass(10_000);
  assert.equal(world.sockets.length, 3);
  world.socket.open();
  await world.pass(11_000);
  assert.equal(world.sockets.length, 4);
});

test('a development double-mount: the first connection leaves no trace, the second one works', async () => {
  const world = new World();
  const options = { SDKAppID: 9, url: 'ws://fake/ws', env: world.env };
  const mount = () => {
    const chat = create(options);
    const login = chat.login(LOGIN);
    return { chat, login };
  };
  const first = mount();
  await world.settle();
  const refused = assert.rejects(first.login, { code: 2999 });
  await first.chat.destroy();
  await refused;
  assert.equal(world.sockets[0].closedWith, undefined, 'closing it before it is open would be an error on the console');
  const second = mount();
  await world.settle();
  world.sockets[0].open();
  assert.equal(world.sockets[0].closedWith, 1000);
  assert.deepEqual(world.sockets[0].sent, []);
  await world.admit();
  await second.login;
  assert.equal(world.sockets.length, 2);
  await second.chat.destroy();
  assert.equal(world.timers, 0);
});

test('listeners: the same one twice is told once; once, off and a context work; a fault of one stops no other', async (t) => {
  const world = new World();
  const { chat } = await world.ann();
  const told = [];
  const context = { name: 'a context' };
  function listen({ data }) {
    told.push([this?.name, data.value]);
  }
  const broken = () => {
    throw new Error('a fault of the app');
  };
  const { EVENT } = TencentCloudChat;
  chat.on(EVENT.GROUP_COUNTER_UPDATED, broken);
  for (let turn = 0; turn < 3; turn += 1) chat.on(EVENT.GROUP_COUNTER_UPDATED, listen, context);
  chat.on(EVENT.GROUP_COUNTER_UPDATED, () => told.push(['once']), undefined, true);
  const faults = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (fault) => faults.push(fault.message));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  world.socket.push('live', 'like', 1, 1);
  world.socket.push('live', 'like', 2, 2);
  await world.settle();
  assert.deepEqual(told, [['a context', 1], ['once'], ['a context', 2]]);
  assert.deepEqual(faults, ['a fault of the app', 'a fault of the app']);
  chat.off(EVENT.GROUP_COUNTER_UPDATED, broken);
  chat.off(EVENT.GROUP_COUNTER_UPDATED, listen, context);
  world.socket.push('live', 'like', 3, 3);
  assert.equal(told.length, 3);
});
