// Making a chat, and what is said to whoever calls it wrongly.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '../../../../web-demo/sdk/index.js';
import { joined, World } from '../world.mjs';

test('create: the same living instance for an app and address, another one after destroy', async () => {
  const world = new World();
  const options = { SDKAppID: 7, url: 'ws://fake/ws', env: world.env };
  const one = create(options);
  assert.equal(create({ ...options }), one);
  assert.notEqual(create({ ...options, SDKAppID: 8 }), one);
  assert.notEqual(create({ ...options, url: 'ws://fake/other' }), one);
  assert.notEqual(create({ ...options, apart: true }), one);
  await one.destroy();
  assert.notEqual(create(options), one);
});

test('create again: the newest getUserSig and timeout count, and other integers are refused', async () => {
  const world = new World();
  const options = { SDKAppID: 70, url: 'ws://fake/ws', env: world.env, integers: 'bigint', timeout: 5_000, getUserSig: () => 'of the first render' };
  const chat = create(options);
  for (const given of [{}, { integers: undefined, timeout: undefined, getUserSig: undefined }, { integers: 'bigint', timeout: 5_000 }, { env: {} }]) {
    assert.equal(create({ SDKAppID: 70, url: 'ws://fake/ws', ...given }), chat, JSON.stringify(given));
  }
  assert.equal(create({ ...options, getUserSig: () => 'of the second render' }), chat);
  for (const integers of ['number', 'auto']) {
    assert.throws(() => create({ ...options, integers }), { name: 'ChatError', code: 10004, message: /^integers is bigint .*apart/ });
  }
  const login = chat.login({ userID: 'ann' });
  await world.settle();
  world.socket.open();
  await world.settle();
  assert.equal(world.socket.frame('login').userSig, 'of the second render');
  create({ ...options, timeout: 3_000 });
  const slow = assert.rejects(chat.ping(), { code: 2801 });
  await world.pass(3_000);
  await slow;
  await Promise.all([chat.destroy(), assert.rejects(login)]);
  const plain = create({ SDKAppID: 70, url: 'ws://fake/ws', env: world.env });
  assert.equal(create({ SDKAppID: 70, url: 'ws://fake/ws', integers: 'auto', timeout: 10_000, getUserSig: () => 'late' }), plain);
  const late = plain.login({ userID: 'ann' });
  await world.settle();
  world.socket.open();
  await world.settle();
  assert.equal(world.socket.frame('login').userSig, 'late');
  await Promise.all([plain.destroy(), assert.rejects(late)]);
});

test('create without a page: the address must be absolute, and that is said', () => {
  for (const options of [undefined, {}, { SDKAppID: 1 }, { SDKAppID: 1, url: '/ws' }, { SDKAppID: 1, proxyServer: 'ws' }, { SDKAppID: 1, url: 'ws://' }]) {
    assert.throws(() => create(options), { name: 'ChatError', code: 10004, message: /^url .*wss:\/\/host\/ws/ }, JSON.stringify(options));
  }
});

test('calls without what they need are rejected with 10004, and nothing is sent', async () => {
  const world = new World();
  const { chat } = await world.ann();
  world.socket.fresh();
  for (const name of ['tap', 'increaseGroupCounter', 'decreaseGroupCounter', 'setGroupCounters']) {
    await assert.rejects(chat[name](), { name: 'ChatError', code: 10004, message: /^groupID / }, name);
  }
  for (const name of ['tap', 'increaseGroupCounter', 'decreaseGroupCounter']) {
    await assert.rejects(chat[name]({ groupID: 'live', key: 'like', value: '1' }), { code: 10004, message: /^value / }, name);
    await assert.rejects(chat[name]({ groupID: 5, key: 'like', value: 1 }), { code: 10004, message: /^groupID / }, name);
  }
  assert.deepEqual(world.socket.fresh(), []);
  // Whatever else is missing, the gateway names.
  for (const name of ['setGroupCounters', 'joinGroup', 'getGroupCounters', 'quitGroup', 'createGroup', 'addGroupMember']) {
    const refused = assert.rejects(chat[name](name === 'setGroupCounters' ? { groupID: 'live' } : undefined), { code: 10004 }, name);
    await world.settle();
    world.socket.answer(name, 10004);
    await refused;
  }
  await chat.logout();
  await assert.rejects(chat.login(), { name: 'ChatError', code: 10004, message: /^userID / });
  await assert.rejects(chat.login({ userSig: 'sig-1' }), { code: 10004, message: /^userID / });
  assert.equal(world.timers, 0);
});

test("integers: 'number': beyond 2^53 a value is infinite, told, and never the one before", async () => {
  const world = new World();
  const { chat, events } = await world.ann({ integers: 'number' });
  const join = chat.joinGroup({ groupID: 'live' });
  world.socket.answer('joinGroup', joined({ like: 2 ** 53 - 1, depth: 0 }, 2));
  await join;
  events.length = 0;
  world.socket.say('{"event":"GROUP_COUNTER_UPDATED","data":{"groupID":"live","key":"like","value":9007199254740993,"version":3}}');
  assert.deepEqual(chat.counters('live'), { like: Infinity, depth: 0 });
  const [[, fault], told] = events;
  assert.deepEqual([fault.name, fault.code], ['ChatError', -1]);
  assert.match(fault.message, /9007199254740993/);
  assert.deepEqual(told, ['onGroupCounterUpdated', { groupID: 'live', key: 'like', value: Infinity }]);
  // The write has counted: a rejection would have it made again.
  const write = chat.decreaseGroupCounter({ groupID: 'live', key: 'depth', value: 2n ** 60n });
  await world.settle();
  const { id } = world.socket.frame('decreaseGroupCounter');
  world.socket.say(`{"id":${id},"code":0,"data":{"groupID":"live","key":"depth","value":-1152921504606846976,"version":4}}`);
  assert.equal((await write).data.value, -Infinity);
  assert.equal(chat.counters('live').depth, -Infinity);
  assert.equal(events.filter(([name]) => name === 'error').length, 1, 'once is enough');
  world.socket.push('live', 'like', 5, 5);
  assert.equal(chat.counters('live').like, 5);
});
