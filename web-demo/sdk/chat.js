// One user's calls: those of the vendor's SDK for group counters, and ours. It puts the parts together.

import { environment, randomName } from './env.js';
import { makeGroups } from './groups.js';
import { makeListeners } from './listeners.js';
import { ChatError, EVENT, NOT_READY, TYPES, UNFIT } from './names.js';
import { makeRequests } from './requests.js';
import { makeSession } from './session.js';
import { makeTaps } from './taps.js';
import { makeThrottle } from './throttle.js';
import { integer, needed, parse, shown } from './wire.js';

const WRITE_AGE_MS_MAX = 60_000;

/** A chat apart from all others. Of `held`, its options, `timeout` and `getUserSig` may change. `gone()`: it is destroyed. */
export function makeChat(held, given, url, gone) {
  const env = environment(given);
  const { on, off, emit, clear } = makeListeners();
  const requests = makeRequests(env, makeThrottle());
  const outside = { env, held, requests, emit };
  const groups = makeGroups(outside);
  const tap = makeTaps((fields, more) => write('increaseGroupCounter', fields, { ...more, late: true }));
  const session = makeSession(outside, url, { ...groups, text, down: groups.counters.disconnected });
  const name = randomName();
  let writes = 0;
  let destroyed = false;
  let unfit = (value) => {
    unfit = () => {};
    emit(EVENT.ERROR, new ChatError(UNFIT, `${value} does not fit a number: it is shown as infinite.`));
  };

  function text(received) {
    const read = (data) => shown(data, held.integers, (value) => unfit(value));
    try {
      const frame = parse(received);
      if (frame.event) groups.event(frame.event, read(frame.data));
      else requests.answered(frame, read);
    } catch (fault) {
      emit(EVENT.ERROR, fault);
    }
  }

  const barred = () => session.isWanted() ? undefined : Promise.reject(new ChatError(NOT_READY, destroyed ? 'Destroyed.' : 'Log in first.'));

  const ask = (cmd, { signal, ...fields } = {}, more) => barred() ?? requests.ask({ ...fields, cmd }, { limit: held.timeout, signal, ...more });

  async function write(cmd, fields = {}, more) {
    const { groupID, key, value, counters } = fields;
    const several = cmd === 'setGroupCounters';
    needed({ groupID, key: several ? '' : key });
    for (const [name, amount] of Object.entries(several ? { ...counters } : { value })) integer(amount, name);
    writes += 1;
    return ask(cmd, { opID: `${name}-${writes}`, ...fields }, { limit: WRITE_AGE_MS_MAX, again: true, counted: true, take: written, ...more });
  }

  function written({ groupID, version, key, value, counters = { [key]: value } }) {
    for (const [each, now] of Object.entries(counters)) groups.counters.open(groupID).learn({ key: each, value: now, version });
  }

  const stop = listen(env, requests, session);
  const logout = async () => {
    session.leave(new ChatError(NOT_READY, 'Logged out.'));
    return { code: 0, data: {} };
  };

  return {
    on,
    off,
    logout,
    login: async (fields) => (destroyed ? barred() : session.login(fields ?? {})),
    isReady: session.isReady,
    reconnect: session.reconnect,
    tap: (fields) => barred() ?? tap(fields),
    ...calls(ask, write, groups),
    async destroy() {
      destroyed = true;
      gone();
      stop();
      logout();
      clear();
    },
  };
}

function calls(ask, write, { counters, joined, left, watch }) {
  return {
    watch,
    counters: counters.view,
    ping: (more) => ask('ping', more),
    createGroup: (fields) => ask('createGroup', fields, {
      take: ({ group }) => {
        if (group.type !== TYPES.GRP_AVCHATROOM) counters.open(group.groupID).joined = true;
      },
    }),
    dismissGroup: (groupID, more) => ask('dismissGroup', { groupID, ...more }, { take: left }),
    joinGroup: (fields) => ask('joinGroup', fields, { again: true, take: joined }),
    quitGroup: (groupID, more) => ask('quitGroup', { groupID, ...more }, { take: left }),
    addGroupMember: (fields) => ask('addGroupMember', fields),
    deleteGroupMember: (fields) => ask('deleteGroupMember', fields),
    getGroupOnlineMemberCount: (groupID, more) => ask('getGroupOnlineMemberCount', { groupID, ...more }, { again: true }),
    getGroupCounters: (fields) => ask('getGroupCounters', fields, { again: true, take: (data) => counters.open(data.groupID).snapshot(data, fields.keyList) }),
    setGroupCounters: (fields) => write('setGroupCounters', fields),
    increaseGroupCounter: (fields) => write('increaseGroupCounter', fields),
    decreaseGroupCounter: (fields) => write('decreaseGroupCounter', fields),
  };
}

// Hears when the page is hidden or back and when the network goes or comes; gives back what ends that.
function listen({ window, document }, requests, session) {
  const moved = ({ type }) => {
    if (document?.visibilityState === 'hidden') requests.pump(true);
    else session.wake(type === 'offline');
  };
  const all = (method) => {
    for (const type of ['online', 'offline']) window?.[method](type, moved);
    document?.[method]('visibilitychange', moved);
  };
  all('addEventListener');
  return () => all('removeEventListener');
}
