// What apps written for the vendor's SDK call besides counters.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import TencentCloudChat from '../../../../web-demo/sdk/index.js';
import { joined, ROOM, World } from '../world.mjs';

/** What is said on the console while `happens` runs. */
async function said(happens) {
  const before = console.warn;
  const words = [];
  console.warn = (...text) => words.push(text.join(' '));
  try {
    await happens();
  } finally {
    console.warn = before;
  }
  return words;
}

test('getLoginUser: who is logged in, or an empty text', async () => {
  const world = new World();
  const { chat } = await world.ann();
  assert.equal(chat.getLoginUser(), 'ann');
  world.socket.end();
  assert.equal(chat.getLoginUser(), 'ann', 'an outage is no logout');
  await chat.logout();
  assert.equal(chat.getLoginUser(), '');
  const login = chat.login({ userID: 'ben', userSig: 'sig' });
  assert.equal(chat.getLoginUser(), '', 'not yet');
  await world.admit();
  await login;
  assert.equal(chat.getLoginUser(), 'ben');
});

test('registerPlugin: accepted, ignored, and said so', async () => {
  const { chat } = await new World().ann();
  const words = await said(() => assert.equal(chat.registerPlugin({ 'tim-upload-plugin': class {} }), undefined));
  assert.deepEqual(words, ['tallycast: plugins are ignored']);
});

test('an event that there is not is said, and never again after setLogLevel(3)', async () => {
  const { chat } = await new World().ann();
  const { EVENT } = TencentCloudChat;
  const listen = (name) => said(() => chat.on(name, () => {}));
  for (const name of Object.values(EVENT)) assert.deepEqual(await listen(name), []);
  assert.deepEqual(await listen(EVENT.MESSAGE_RECEIVED), ['tallycast: there is no event undefined']);
  assert.deepEqual(await listen('GROUP_COUNTER_UPDATED'), ['tallycast: there is no event GROUP_COUNTER_UPDATED']);
  for (const [level, count] of [[0, 1], [1, 1], [2, 1], [3, 0], [4, 0], [1, 1]]) {
    assert.equal(chat.setLogLevel(level), undefined);
    assert.equal((await listen('onMessageReceived')).length, count, `level ${level}`);
  }
});

test('getGroupProfile: of a group that was joined, as it is now; of others it is refused, and joins nothing', async () => {
  const world = new World();
  const { chat, events } = await world.ann();
  world.socket.fresh();
  for (const options of [{ groupID: 'live' }, {}, undefined]) await assert.rejects(chat.getGroupProfile(options), { name: 'ChatError', code: 10007, message: /Join/ });
  assert.deepEqual(world.socket.fresh(), []);
  const join = chat.joinGroup({ groupID: 'live' });
  world.socket.answer('joinGroup', joined({ like: 1 }, 1));
  await join;
  events.length = 0;
  const profile = chat.getGroupProfile({ groupID: 'live' });
  await world.settle();
  world.socket.answer('joinGroup', { ...joined({ like: 2 }, 2), status: 'AlreadyInGroup', group: { ...ROOM, memberCount: 9 } });
  const { code, data } = await profile;
  assert.deepEqual([code, data.group], [0, { ...ROOM, memberCount: 9 }]);
  assert.deepEqual(events, [['onGroupCounterUpdated', { groupID: 'live', key: 'like', value: 2 }]], 'and what it shows is as good as any');
  const left = chat.quitGroup('live');
  await world.settle();
  world.socket.answer('quitGroup', { groupID: 'live' });
  await left;
  await assert.rejects(chat.getGroupProfile({ groupID: 'live' }), { code: 10007 });
});
