// Groups as an app sees them: joined, told of, watched, left; and the golden frames, played through the whole SDK.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { follow } from '../../../../web-demo/sdk/follow.js';
import { parse } from '../../../../web-demo/sdk/wire.js';
import { joined, World } from '../world.mjs';

const GOLDEN = join(import.meta.dirname, '../../../golden');

/** What the app calls for a frame of the golden table, or null where it cannot say such a thing. */
function call(chat, frame) {
  const { id, cmd, opID, groupID, ...fields } = frame;
  if (opID || typeof fields.value === 'string') return null;
  if (['dismissGroup', 'quitGroup', 'getGroupOnlineMemberCount'].includes(cmd)) return chat[cmd](groupID);
  return chat[cmd]?.({ groupID, ...fields }) ?? null;
}

for (const name of ['story.json', 'live.json']) {
  test(`${name}: every frame of a user is what a call sends, every answer what it resolves with`, async () => {
    const steps = parse(readFileSync(join(GOLDEN, name), 'utf8')).filter(({ as = 'ann', in: sent }) => as === 'ann' && sent?.cmd !== 'logout');
    const world = new World();
    const { chat, events } = await world.ann();
    const say = (frame) => world.socket.say(JSON.stringify(frame, (_, value) => (typeof value === 'bigint' ? `<${value}>` : value)).replace(/"<(-?\d+)>"/g, '$1'));
    let played = 0;
    for (const { name: step, in: sent, out, then = [] } of steps) {
      events.length = 0;
      const outcome = sent && sent.cmd !== 'login' ? call(chat, sent) : null;
      if (outcome) {
        await world.settle();
        const { id, opID, ...frame } = world.socket.frame(sent.cmd);
        const { id: _, ...expected } = sent;
        assert.deepEqual(frame, expected, step);
        say({ ...out, id });
        if (out.code === 0) assert.deepEqual(await outcome, { code: 0, data: out.data }, step);
        else await assert.rejects(outcome, { code: out.code }, step);
        played += 1;
      }
      for (const push of then) say(push);
      const told = then.filter(({ event }) => event === 'GROUP_COUNTER_UPDATED').map(({ data: { groupID, key, value } }) => ['onGroupCounterUpdated', { groupID, key, value }]);
      assert.deepEqual(events.filter(([event]) => event === 'onGroupCounterUpdated'), told, step);
    }
    assert.ok(played >= 10, `${played} steps`);
  });
}

async function inside(options) {
  const world = new World();
  const ann = await world.ann(options);
  const join = ann.chat.joinGroup({ groupID: 'live' });
  world.socket.answer('joinGroup', joined({ like: 5 }, 5));
  await join;
  ann.events.length = 0;
  return { world, ...ann };
}

async function comeBack(world, answer) {
  world.socket.end();
  await world.pass(0);
  await world.admit();
  world.socket.answer('joinGroup', ...answer);
  await world.settle();
}

test('a push older than what is held is not told, by whatever way the newer one came', async () => {
  const { world, chat, events } = await inside();
  const get = chat.getGroupCounters({ groupID: 'live' });
  world.socket.answer('getGroupCounters', { groupID: 'live', counters: { like: 9 }, version: 9, epoch: 'e1' });
  await get;
  world.socket.push('live', 'like', 7, 7);
  world.socket.push('live', 'like', 9, 9);
  world.socket.push('live', 'like', 10, 10);
  assert.deepEqual(events.map(([, { value }]) => value), [9, 10]);
  assert.deepEqual(chat.counters('live'), { like: 10 });
});

test('a repeated answer, which is old news, does not turn the number back', async () => {
  const { world, chat } = await inside();
  const write = chat.increaseGroupCounter({ groupID: 'live', key: 'like', value: 1 });
  await world.settle();
  await comeBack(world, [joined({ like: 50 }, 50)]);
  world.socket.answer('increaseGroupCounter', { groupID: 'live', key: 'like', value: 6, version: 6, replayed: true });
  assert.equal((await write).data.value, 6);
  assert.deepEqual(chat.counters('live'), { like: 50 });
});

test('after a reconnect only what has changed is told; a new epoch voids what was held', async () => {
  const { world, chat, events } = await inside();
  const told = () => events.filter(([name]) => name === 'onGroupCounterUpdated').map(([, data]) => data);
  await comeBack(world, [joined({ like: 5, gift: 1 }, 8)]);
  assert.deepEqual(told(), [{ groupID: 'live', key: 'gift', value: 1 }]);
  events.length = 0;
  await comeBack(world, [joined({ like: 2 }, 3, 'e2')]);
  assert.deepEqual(told(), [{ groupID: 'live', key: 'like', value: 2 }, { groupID: 'live', key: 'gift', value: 0 }]);
  assert.deepEqual(chat.counters('live'), { like: 2 });
  world.socket.say({ event: 'GROUP_RESYNC', data: { groupID: 'live', epoch: 'e3', version: 1, counters: { like: 1 } } });
  assert.deepEqual(chat.counters('live'), { like: 1 });
});

test('a group that is gone, or has put this user out, while the connection was away', async () => {
  for (const [code, told] of [[10010, ['onGroupDismissed', { groupID: 'live' }]], [10007, ['onGroupMembershipChanged', { groupID: 'live', status: 'removed' }]], [10014, ['onGroupMembershipChanged', { groupID: 'live', status: 'removed' }]]]) {
    const { world, chat, events } = await inside();
    await comeBack(world, [code]);
    assert.ok(events.some((event) => JSON.stringify(event) === JSON.stringify(told)), JSON.stringify(events));
    assert.equal(chat.counters('live'), undefined);
    assert.equal(events.at(-1)[1].state, 'connected');
    world.socket.end();
    await world.pass(0);
    await world.admit();
    assert.deepEqual(world.socket.fresh(), []);
  }
});

test('left groups are not joined again, even if a last push comes late', async () => {
  const { world, chat } = await inside();
  const quit = chat.quitGroup('live');
  world.socket.answer('quitGroup', { groupID: 'live' });
  await quit;
  world.socket.push('live', 'like', 6, 6);
  world.socket.end();
  await world.pass(0);
  await world.admit();
  assert.deepEqual(world.socket.fresh(), []);
});

test('added by somebody: the counters are fetched; removed: they are gone', async () => {
  const world = new World();
  const { chat, events } = await world.ann();
  world.socket.say({ event: 'GROUP_MEMBERSHIP_CHANGED', data: { groupID: 'live', status: 'added' } });
  world.socket.answer('joinGroup', joined({ like: 3 }, 3));
  await world.settle();
  assert.deepEqual(chat.counters('live'), { like: 3 });
  assert.deepEqual(events[0], ['onGroupMembershipChanged', { groupID: 'live', status: 'added' }]);
  world.socket.say({ event: 'GROUP_MEMBERSHIP_CHANGED', data: { groupID: 'live', status: 'removed' } });
  assert.equal(chat.counters('live'), undefined);
});

test('a group that the app has not asked for takes no place of one that it asks for', async () => {
  const world = new World();
  const { chat, events } = await world.ann();
  const wishes = async () => {
    await world.settle();
    const { id, asked } = world.socket.frame('joinGroup');
    world.socket.say({ id, code: 0, data: joined({ like: 3 }, 3) });
    await world.settle();
    return asked;
  };
  const reconnected = async () => {
    world.socket.end();
    await world.pass(1000);
    await world.admit();
    return wishes();
  };
  world.socket.say({ event: 'GROUP_MEMBERSHIP_CHANGED', data: { groupID: 'live', status: 'added' } });
  assert.equal(await wishes(), false);
  assert.equal(await reconnected(), false);
  const join = chat.joinGroup({ groupID: 'live' });
  assert.equal(await wishes(), undefined);
  await join;
  assert.equal(await reconnected(), true);
  events.length = 0;
  world.socket.say({ event: 'GROUP_UNSUBSCRIBED', data: { groupID: 'live' } });
  assert.equal(chat.counters('live'), undefined, 'what is not kept up to date is not shown');
  assert.deepEqual(events, [['onGroupUnsubscribed', { groupID: 'live' }]]);
});

test('an event or a frame that is unknown changes nothing; one that cannot be read is an error', async () => {
  const { world, events } = await inside();
  world.socket.say({ event: 'SOMETHING_NEW', data: {} });
  world.socket.say({ event: 'SDK_READY', data: {} });
  world.socket.say({ id: 999, code: 0, data: {} });
  assert.deepEqual(events, []);
  world.socket.say('{');
  assert.deepEqual(events.map(([name]) => name), ['error']);
});

test('watch: what is held, then what comes, the newest of each key for who is slow', async () => {
  const { world, chat } = await inside();
  const watched = chat.watch('live');
  const take = async () => (await watched.next()).value;
  assert.deepEqual(await take(), { groupID: 'live', key: 'like', value: 5, version: 5 });
  const next = take();
  world.socket.push('live', 'like', 6, 6);
  assert.equal((await next).value, 6);
  for (let n = 7; n < 1_000; n += 1) world.socket.push('live', n % 2 ? 'like' : 'gift', n, n);
  world.socket.push('other', 'like', 1, 1);
  world.socket.push('live', 'like', 0, 1_000, { deleted: true });
  assert.deepEqual([await take(), await take()], [{ groupID: 'live', key: 'gift', value: 998, version: 998 }, { groupID: 'live', key: 'like', value: 0, version: 1_000, deleted: true }]);
  assert.deepEqual(await watched.return(), { value: undefined, done: true });
});

test('watch ends with its signal, its group, the session and a break', async () => {
  const ends = {
    signal: ({ control }) => control.abort(),
    dismissed: ({ world }) => world.socket.say({ event: 'GROUP_DISMISSED', data: { groupID: 'live' } }),
    removed: ({ world }) => world.socket.say({ event: 'GROUP_MEMBERSHIP_CHANGED', data: { groupID: 'live', status: 'removed' } }),
    logout: ({ chat }) => chat.logout(),
    destroy: ({ chat }) => chat.destroy(),
  };
  for (const [name, end] of Object.entries(ends)) {
    const { world, chat } = await inside();
    const control = new AbortController();
    const seen = [];
    const loop = (async () => {
      for await (const { value } of chat.watch('live', { signal: control.signal })) seen.push(value);
    })();
    await world.settle();
    end({ world, chat, control });
    await loop;
    assert.deepEqual(seen, [5], name);
  }
  const { chat } = await inside();
  for await (const { value } of chat.watch('live')) {
    assert.equal(value, 5);
    break;
  }
  for await (const change of chat.watch('live', { signal: AbortSignal.abort() })) assert.fail(change);
});

test('follow: joins once for many views, once the chat is logged in, and again after each login', async () => {
  const world = new World();
  const chat = world.chat();
  const views = [follow(chat, 'live'), follow(chat, 'live')];
  let changes = 0;
  const stops = views.map((view) => view.subscribe(() => (changes += 1)));
  assert.deepEqual(views[0].state(), {});
  for (let turn = 1; turn < 3; turn += 1) {
    const login = chat.login({ userID: 'ann', userSig: 'sig-1' });
    await world.admit();
    await login;
    world.socket.answer('joinGroup', joined({ like: turn }, turn));
    await world.settle();
    assert.deepEqual(world.socket.fresh(), []);
    for (const view of views) assert.deepEqual(view.state(), { counters: { like: turn } });
    const state = views[0].state();
    assert.equal(views[0].state(), state);
    await chat.logout();
    assert.deepEqual(views[0].state(), { counters: undefined });
  }
  const before = changes;
  for (const stop of stops) stop();
  const login = chat.login({ userID: 'ann', userSig: 'sig-1' });
  await world.admit();
  await login;
  assert.equal(changes, before);
  await chat.destroy();
});

test('follow: a refused join is shown, and a later push clears it', async () => {
  const world = new World();
  const { chat } = await world.ann();
  const view = follow(chat, 'live');
  view.subscribe(() => {});
  world.socket.answer('joinGroup', 10007);
  await world.settle();
  assert.equal(view.state().error.code, 10007);
  world.socket.push('live', 'like', 1, 1);
  assert.deepEqual(view.state(), { counters: { like: 1 } });
  await chat.destroy();
});
