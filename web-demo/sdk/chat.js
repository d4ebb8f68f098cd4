// One user's calls: those of the vendor's SDK for group counters, and ours. It puts the parts together.

import { environment, randomName } from './env.js';
import { makeGroups } from './groups.js';
import { makeListeners } from './listeners.js';
import { ASKED, ChatError, EVENT, NOT_IN_GROUP, NOT_READY, TYPES, UNFIT } from './names.js';
import { makeRequests } from './requests.js';
import { makeSession } from './session.js';
import { makeTaps } from './taps.js';
import { makeThrottle } from './throttle.js';
import { integer, needed, parse, shown } from './wire.js';

const WRITE_AGE_MS_MAX = 60_000;

/** A chat apart from all others. Of `held`, its options, `timeout` and `getUserSig` may change. `gone()`: it is destroyed. */
export function makeChat(held, given, url, gone) {
  const env = environment(given);
  const { emit, clear, ...listening } = makeListeners();
  const requests = makeRequests(env, makeThrottle());
  const outside = { env, held, requests, emit };
  const groups = makeGroups(outside);
  const tap = makeTaps((fields, more) => write('increaseGroupCounter', fields, { ...more, late: true }));
  const session = makeSession(outside, url, { ...groups, text, down: groups.counters.disconnected });
  const name = randomName();
  let writes = 0;
  let destroyed = false;
  let told = false;

  // The first says it all.
  function unfit(value) {
    if (!told) emit(EVENT.ERROR, new ChatError(UNFIT, `${value} is shown as infinite.`));
    told = true;
  }

  function text(received) {
    const read = (data) => shown(data, held.integers, unfit);
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
    const { groupID, value, counters } = fields;
    needed(groupID, 'groupID');
    for (const [name, amount] of Object.entries(cmd === 'setGroupCounters' ? { ...counters } : { value })) integer(amount, name);
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
    ...listening,
    logout,
    login: async (fields) => (destroyed ? barred() : session.login(fields)),
    isReady: session.isReady,
    getLoginUser: session.user,
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
  const withFields = (cmd, rules) => (fields) => ask(cmd, fields, rules);
  const withID = (cmd, rules) => (groupID, more) => ask(cmd, { groupID, ...more }, rules);
  const writes = (cmd) => (fields) => write(cmd, fields);
  const joinGroup = withFields('joinGroup', { again: true, take: joined });
  return {
    watch,
    joinGroup,
    counters: counters.view,
    ping: (more) => ask('ping', more),
    createGroup: withFields('createGroup', {
      take: ({ group }) => {
        if (group.type !== TYPES.GRP_AVCHATROOM) counters.open(group.groupID).joined = ASKED;
      },
    }),
    dismissGroup: withID('dismissGroup', { take: left }),
    quitGroup: withID('quitGroup', { take: left }),
    addGroupMember: withFields('addGroupMember'),
    deleteGroupMember: withFields('deleteGroupMember'),
    getGroupOnlineMemberCount: withID('getGroupOnlineMemberCount', { again: true }),
    // Joining again changes nothing for whoever is in, and its answer has the group.
    async getGroupProfile(fields) {
      if (!counters.joined().includes(fields?.groupID)) throw new ChatError(NOT_IN_GROUP, 'Join the group first.');
      return joinGroup(fields);
    },
    getGroupCounters: (fields) => ask('getGroupCounters', fields, { again: true, take: (data) => counters.open(data.groupID).snapshot(data, fields.keyList) }),
    setGroupCounters: writes('setGroupCounters'),
    increaseGroupCounter: writes('increaseGroupCounter'),
    decreaseGroupCounter: writes('decreaseGroupCounter'),
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
