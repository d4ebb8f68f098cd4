// The SDK against the real program, from Node: what the vendor's documents show, and what the vendor lacks.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import http from 'node:http';
import { json } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { deflateSync } from 'node:zlib';
import TencentCloudChat, { create, EVENT } from '../../../web-demo/sdk/index.js';
import { Gateway } from '../gateway.mjs';

const gateway = new Gateway();
const chats = [];
let groups = 0;

before(() => gateway.start());
after(async () => {
  for (const chat of chats) await chat.destroy();
  await gateway.clear();
});

// Not by `fetch`: Node 20 would open the next WebSocket on the connection it has kept from that.
const session = (userID) => new Promise((resolve, reject) => {
  http.get(`${gateway.base}/demo/session?userID=${userID}`, { agent: false }, (answer) => json(answer).then(resolve, reject)).on('error', reject);
});
const url = () => `ws://127.0.0.1:${gateway.port}/ws`;

async function user(userID, options = {}) {
  const chat = create({ SDKAppID: 1, apart: true, url: url(), getUserSig: async () => (await session(userID)).userSig, ...options });
  chats.push(chat);
  await chat.login({ userID });
  return chat;
}

async function room(owner, type = TencentCloudChat.TYPES.GRP_MEETING) {
  groups += 1;
  const groupID = `room-${groups}`;
  await owner.createGroup({ type, name: 'A room', groupID });
  return groupID;
}

/** Resolves when `holds` does, asked again with each event. */
function until(chat, name, holds) {
  return new Promise((resolve) => {
    const check = (event) => {
      if (!holds(event)) return;
      chat.off(name, check);
      resolve(event);
    };
    chat.on(name, check);
  });
}

test('the calls of the vendor\'s guides, but for the import and the address', async () => {
  const { sdkAppID, userSig } = await session('sample');
  const said = [];
  const console = { log: (...words) => said.push(['log', ...words]), warn: (...words) => said.push(['warn', ...words]) };
  const done = (promise) => promise.then((imResponse) => imResponse.data);

  const chat = TencentCloudChat.create({ SDKAppID: sdkAppID, proxyServer: url() });
  chats.push(chat);
  const isReady = new Promise((resolve) => chat.on(TencentCloudChat.EVENT.SDK_READY, resolve));
  let promise = chat.login({ userID: 'sample', userSig });
  promise.then(function(imResponse) {
    console.log(imResponse.data);
    if (imResponse.data.repeatLogin === true) console.log(imResponse.data.errorInfo);
  }).catch(function(imError) {
    console.warn('login error:', imError);
  });
  await isReady;
  assert.equal(chat.isReady(), true);

  promise = chat.createGroup({ type: TencentCloudChat.TYPES.GRP_AVCHATROOM, name: 'newGroup', groupID: 'group1', introduction: 'hello', notification: 'hello' });
  assert.equal((await done(promise)).group.groupID, 'group1');
  promise = chat.joinGroup({ groupID: 'group1', type: TencentCloudChat.TYPES.GRP_AVCHATROOM });
  assert.equal((await done(promise)).status, TencentCloudChat.TYPES.JOIN_STATUS_SUCCESS);

  const updates = [];
  const onGroupCounterUpdated = function(event) {
    const { groupID, key, value } = event.data;
    updates.push([event.name, groupID, key, value]);
  };
  chat.on(TencentCloudChat.EVENT.GROUP_COUNTER_UPDATED, onGroupCounterUpdated);

  promise = chat.setGroupCounters({ groupID: 'group1', counters: { key1: 0, key2: 0 } });
  assert.deepEqual((await done(promise)).counters, { key1: 0, key2: 0 });
  promise = chat.increaseGroupCounter({ groupID: 'group1', key: 'key1', value: 2 });
  assert.deepEqual((({ groupID, key, value }) => [groupID, key, value])(await done(promise)), ['group1', 'key1', 2]);
  promise = chat.decreaseGroupCounter({ groupID: 'group1', key: 'key1', value: 5 });
  assert.equal((await done(promise)).value, -3);
  promise = chat.getGroupCounters({ groupID: 'group1', keyList: ['key1', 'key2', 'key3'] });
  assert.deepEqual((await done(promise)).counters, { key1: -3, key2: 0 });
  promise = chat.getGroupCounters({ groupID: 'group1' });
  assert.deepEqual((await done(promise)).counters, { key1: -3, key2: 0 });
  assert.deepEqual(updates, [['key1', 0], ['key2', 0], ['key1', 2], ['key1', -3]].map(([key, value]) => ['onGroupCounterUpdated', 'group1', key, value]));
  chat.off(TencentCloudChat.EVENT.GROUP_COUNTER_UPDATED, onGroupCounterUpdated);

  assert.equal((await done(chat.getGroupOnlineMemberCount('group1'))).memberCount, 1);
  const refused = await chat.increaseGroupCounter({ groupID: 'nowhere', key: 'key1', value: 2 }).catch((imError) => imError);
  assert.deepEqual([refused instanceof Error, refused.code, typeof refused.message], [true, 10010, 'string']);
  assert.equal((await done(chat.quitGroup('group1'))).groupID, 'group1');
  assert.equal((await done(chat.dismissGroup('group1'))).groupID, 'group1');
  promise = chat.login({ userID: 'sample', userSig });
  assert.equal((await done(promise)).repeatLogin, true);
  const notReady = new Promise((resolve) => chat.on(TencentCloudChat.EVENT.SDK_NOT_READY, resolve));
  await chat.logout();
  await notReady;
  assert.equal(chat.isReady(), false);
  await chat.destroy();
  assert.deepEqual(said.map(([how]) => how), ['log']);
});

test('members: added and removed, and told of it', async () => {
  const [ann, ben] = await Promise.all([user('ann'), user('ben')]);
  const groupID = await room(ann, TencentCloudChat.TYPES.GRP_WORK);
  const added = until(ben, EVENT.GROUP_MEMBERSHIP_CHANGED, ({ data }) => data.status === 'added');
  const { data } = await ann.addGroupMember({ groupID, userIDList: ['ben'] });
  assert.deepEqual(data, { groupID, successUserIDList: ['ben'], existedUserIDList: [], failureUserIDList: [] });
  await added;
  const heard = until(ben, EVENT.GROUP_COUNTER_UPDATED, (event) => event.data.value === 3);
  await ann.increaseGroupCounter({ groupID, key: 'like', value: 3 });
  assert.deepEqual((await heard).data, { groupID, key: 'like', value: 3 });
  const removed = until(ben, EVENT.GROUP_MEMBERSHIP_CHANGED, (event) => event.data.status === 'removed');
  await ann.deleteGroupMember({ groupID, userIDList: ['ben'] });
  await removed;
  await assert.rejects(ben.getGroupCounters({ groupID }), { code: 10007 });
});

test('every digit of 64 bits, there and back', async () => {
  const ann = await user('exact');
  const groupID = await room(ann);
  const counters = { max: 2n ** 63n - 1n, min: -(2n ** 63n), safe: Number.MAX_SAFE_INTEGER, beyond: 2n ** 53n, zero: 0 };
  assert.deepEqual((await ann.setGroupCounters({ groupID, counters })).data.counters, counters);
  assert.deepEqual((await ann.getGroupCounters({ groupID })).data.counters, counters);
  assert.equal((await ann.increaseGroupCounter({ groupID, key: 'safe', value: 1 })).data.value, 2n ** 53n);
  assert.equal((await ann.decreaseGroupCounter({ groupID, key: 'beyond', value: 2n ** 53n })).data.value, 0);
  await assert.rejects(ann.increaseGroupCounter({ groupID, key: 'max', value: 1 }), { code: 10004 });
  assert.equal(ann.counters(groupID).max, 2n ** 63n - 1n);
});

test('21 writes at once: the last is told 2996; taps beyond that never are', async () => {
  const ann = await user('fast');
  const groupID = await room(ann);
  const outcomes = await Promise.allSettled(Array.from({ length: 21 }, () => ann.increaseGroupCounter({ groupID, key: 'like', value: 1 })));
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  assert.deepEqual(refused.map(({ reason }) => reason.code), [2996]);
  assert.ok(refused[0].reason.retryAfter > 0);
  const taps = Array.from({ length: 100 }, (_, n) => ann.tap({ groupID, key: `tap${n % 3}` }));
  await Promise.all(taps);
  const { data } = await ann.getGroupCounters({ groupID });
  assert.deepEqual(data.counters, { like: 20, tap0: 34, tap1: 33, tap2: 33 });
});

test('the program is killed in the middle of writes and taps: nothing is lost, nothing counts twice', async () => {
  const [ann, ben] = await Promise.all([user('lost-ann'), user('lost-ben')]);
  const groupID = await room(ann);
  for (const chat of [ann, ben]) await chat.joinGroup({ groupID });
  const outcomes = [];
  const write = (times) => {
    for (let n = 0; n < times; n += 1) {
      outcomes.push(ann.increaseGroupCounter({ groupID, key: 'like', value: 1 }), ben.tap({ groupID, key: 'like' }), ben.tap({ groupID, key: 'gift', value: 10 }));
    }
  };
  write(2);
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    write(3);
    const away = until(ann, EVENT.NET_STATE_CHANGE, ({ data }) => data.state === 'disconnected');
    await Promise.all([gateway.end(signal), away]);
    write(3);
    await gateway.start();
    write(1);
  }
  await Promise.all(outcomes);
  const { data } = await ann.getGroupCounters({ groupID });
  assert.deepEqual(data.counters, { like: 32, gift: 160 });
  for (const chat of [ann, ben]) {
    if (chat.counters(groupID).like !== 32) await until(chat, EVENT.GROUP_COUNTER_UPDATED, () => chat.counters(groupID).like === 32);
    assert.equal(chat.isReady(), true);
  }
});

test('what changed while the connection was away is told when it is back, and numbers only grow', async () => {
  const [ann, ben] = await Promise.all([user('away-ann'), user('away-ben')]);
  const groupID = await room(ann);
  let sockets = [];
  const cleo = await user('away-cleo', {
    env: {
      WebSocket: class extends WebSocket {
        constructor(address) {
          super(address);
          sockets.push(this);
        }
      },
    },
  });
  await cleo.joinGroup({ groupID });
  const seen = [];
  cleo.on(EVENT.GROUP_COUNTER_UPDATED, ({ data }) => seen.push(data.value));
  await ben.joinGroup({ groupID });
  for (let turn = 1; turn <= 4; turn += 1) {
    sockets.at(-1).close();
    await ben.increaseGroupCounter({ groupID, key: 'like', value: 1 });
    await ann.increaseGroupCounter({ groupID, key: 'like', value: 1 });
    if (cleo.counters(groupID).like !== 2 * turn) await until(cleo, EVENT.GROUP_COUNTER_UPDATED, ({ data }) => data.value === 2 * turn);
  }
  assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b));
  assert.equal(seen.at(-1), 8);
  assert.equal(sockets.length, 5);
});

test('a refused sig is told with its code; the 17th connection of a user ends the first, which stays away', async () => {
  const chat = create({ SDKAppID: 1, apart: true, url: url() });
  await assert.rejects(chat.login({ userID: 'ann', userSig: 'nonsense' }), { name: 'ChatError', code: 70003 });
  await chat.destroy();
  const first = await user('many');
  const kicked = until(first, EVENT.KICKED_OUT, ({ data }) => data.type === 'multipleAccount');
  const over = until(first, EVENT.SDK_NOT_READY, () => true);
  await Promise.all(Array.from({ length: 16 }, () => user('many')));
  await Promise.all([kicked, over]);
  await assert.rejects(first.ping(), { code: 2999 });
});

test('follow the numbers in a loop', async () => {
  const [ann, ben] = await Promise.all([user('loop-ann'), user('loop-ben')]);
  const groupID = await room(ann);
  await ben.joinGroup({ groupID });
  const seen = [];
  const loop = (async () => {
    for await (const { key, value, version } of ben.watch(groupID)) seen.push([key, value, version]);
  })();
  for (let n = 1; n <= 3; n += 1) {
    await Promise.all([until(ben, EVENT.GROUP_COUNTER_UPDATED, ({ data }) => data.value === n), ann.increaseGroupCounter({ groupID, key: 'like', value: 1 })]);
  }
  await ann.dismissGroup(groupID);
  await loop;
  assert.deepEqual(seen, [['like', 1, 1], ['like', 2, 2], ['like', 3, 3]]);
});

/** Runs a module in a Node of its own, as it comes, but for a global WebSocket that this one may have; gives what it printed. */
async function inNode(code) {
  const [major] = process.versions.node.split('.').map(Number);
  const flags = major < 22 ? [] : ['--no-experimental-websocket'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--input-type=module', '-e', code], { cwd: import.meta.dirname, env: { ...process.env, NODE_OPTIONS: '' } });
  return stdout.trim();
}

test('Node without a WebSocket of its own: it is told what to give, and that of ws works', async () => {
  const { userSig } = await session('node');
  const create = `import { create } from 'tallycast'; const options = { SDKAppID: 1, url: '${url()}' }; const login = { userID: 'node', userSig: '${userSig}' };`;
  assert.match(await inNode(`${create} await create(options).login(login).catch(({ code, message }) => console.log(code, message));`), /^10004 No WebSocket: .*ws/);
  const printed = await inNode(`${create} import WebSocket from 'ws';
    const chat = create({ ...options, env: { WebSocket } });
    await chat.login(login);
    await chat.createGroup({ type: 'AVChatRoom', name: 'Node', groupID: 'node' });
    await chat.joinGroup({ groupID: 'node' });
    await Promise.all(Array.from({ length: 30 }, () => chat.tap({ groupID: 'node', key: 'like' })));
    console.log((await chat.getGroupCounters({ groupID: 'node' })).data.counters.like);
    await chat.destroy();`);
  assert.equal(printed, '30');
});

test('ws: why there is no connection is told, and a connection given up while it opens ends no program', async () => {
  const create = `import { create } from 'tallycast'; import WebSocket from 'ws'; const chat = (more) => create({ SDKAppID: 1, apart: true, url: '${url()}', timeout: 1_000, env: { WebSocket }, ...more }); const login = { userID: 'node', userSig: 'x' };`;
  const why = await inNode(`${create}
    const wrong = [chat({ url: '${url()}x' }), chat({ url: 'ws://127.0.0.1:1/ws' })];
    for (const each of wrong) await each.login(login).catch(({ code, message, cause }) => console.log(code, message, '/', cause.message));`);
  const [path, port] = why.split('\n');
  assert.match(path, /^2801 Not logged in within 1 s\. No way to .*x: Unexpected server response: 404 \/ Unexpected server response: 404$/);
  assert.match(port, /^2801 .*: connect ECONNREFUSED 127.0.0.1:1 \/ connect ECONNREFUSED/);
  const ended = await inNode(`${create}
    for (const more of [{}, { url: 'ws://127.0.0.1:1/ws' }]) {
      let begun;
      const begins = new Promise((resolve) => (begun = resolve));
      const one = chat({ ...more, env: { WebSocket: class extends WebSocket { constructor(address) { super(address); begun(); } } } });
      const refused = one.login(login).catch(({ code }) => console.log(code));
      await begins;
      await one.destroy();
      await refused;
    }`);
  assert.equal(ended, '2999\n2999');
});

const SECRET = '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e';

/** A UserSig as a back end signs it. */
function sign(userID, expire) {
  const fields = { identifier: userID, sdkappid: 1_400_000_000, time: Math.floor(Date.now() / 1_000), expire };
  const text = Object.entries(fields).map(([name, value]) => `TLS.${name}:${value}\n`).join('');
  const sig = createHmac('sha256', SECRET).update(text).digest('base64');
  const sealed = Object.fromEntries([['ver', '2.0'], ...Object.entries(fields), ['sig', sig]].map(([name, value]) => [`TLS.${name}`, value]));
  return deflateSync(JSON.stringify(sealed)).toString('base64').replaceAll('+', '*').replaceAll('/', '-').replaceAll('=', '_');
}

test('sigs that live for seconds, on clocks that are hours wrong: the session goes on without a break', async () => {
  const served = new Gateway({}, `[app]\nsdk_app_id = 1400000000\nsecret_keys = ["${SECRET}"]\n`);
  await served.start();
  const made = [];
  try {
    const lives = [-5, 0, 5].map(async (hours) => {
      let asked = 0;
      const getUserSig = (userID) => {
        asked += 1;
        return sign(userID, 4);
      };
      const chat = create({ SDKAppID: 1, apart: true, url: `ws://127.0.0.1:${served.port}/ws`, getUserSig, env: { now: () => Date.now() + hours * 3_600_000 } });
      made.push(chat);
      const told = [];
      for (const name of [EVENT.KICKED_OUT, EVENT.ERROR, EVENT.SDK_NOT_READY, EVENT.NET_STATE_CHANGE]) chat.on(name, ({ data }) => data?.state !== 'connecting' && told.push(data?.state ?? name));
      await chat.login({ userID: `clock${hours}` });
      const groupID = await room(chat);
      const until = performance.now() + 10_000;
      let count = 0;
      for (; performance.now() < until; count += 1) await chat.tap({ groupID, key: 'like' });
      assert.equal(chat.counters(groupID).like, count);
      assert.deepEqual(told, ['connected'], `${hours} hours`);
      assert.ok(asked >= 3 && asked <= 5, `${asked} sigs in ten seconds`);
    });
    await Promise.all(lives);
  } finally {
    for (const chat of made) await chat.destroy();
    await served.clear();
  }
});
