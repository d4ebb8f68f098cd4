// One user's view of his groups: the calls of the vendor's SDK for group counters, and ours. It puts the parts together.

import { makeCounters } from './counters.js';
import { environment, onAbort, randomName, socketURL } from './env.js';
import { makeListeners } from './listeners.js';
import { ChatError, EVENT, NOT_READY, NO_ANSWER, TYPES } from './names.js';
import { makeRequests } from './requests.js';
import { makeSession } from './session.js';
import { makeTaps } from './taps.js';
import { makeThrottle } from './throttle.js';
import { integer, parse, shown } from './wire.js';

const WRITE_AGE_MS_MAX = 60_000;
const NOT_ALLOWED = 10007;
const NO_GROUP = 10010;

/** A chat apart from all others; `over()` is called when it is destroyed. */
export function makeChat({ integers, getUserSig, timeout = 10_000, ...options }, over) {
  const env = environment(options.env);
  const counters = makeCounters(changed);
  const { on, off, emit, clear } = makeListeners();
  const throttle = makeThrottle();
  const requests = makeRequests(env, throttle);
  const taps = makeTaps(env, throttle, requests, (fields, limit) => write('increaseGroupCounter', fields, { limit, late: true }));
  const watchers = new Set();
  const session = makeSession({ env, url: socketURL(options), timeout, getUserSig, requests, on: { emit, text, rejoin, open: taps.flush, down: counters.disconnected, over: ended } });
  const name = randomName();
  let writes = 0;
  let destroyed = false;

  function text(received) {
    try {
      const frame = parse(received);
      if (frame.event) event(frame.event, shown(frame.data, integers));
      else requests.answered(frame, (data) => shown(data, integers));
    } catch (fault) {
      emit(EVENT.ERROR, fault);
    }
  }

  function event(kind, data) {
    const { groupID, status } = data;
    if (kind === 'GROUP_COUNTER_UPDATED') return counters.push(data);
    if (kind === 'GROUP_RESYNC') return counters.resync(data);
    if (kind === 'GROUP_DISMISSED' || status === 'removed') left(data);
    else if (status === 'added') joinAgain(groupID);
    else if (kind !== 'KICKED_OUT') return;
    emit(EVENT[kind], data);
  }

  function changed(change) {
    const { groupID, key, value } = change;
    watching(groupID, change);
    emit(EVENT.GROUP_COUNTER_UPDATED, { groupID, key, value });
  }

  function watching(groupID, change) {
    for (const watcher of watchers) watcher(groupID, change);
  }

  function joined(data) {
    counters.join(data.group.groupID);
    counters.snapshot({ ...data, groupID: data.group.groupID });
  }

  function left({ groupID }) {
    counters.leave(groupID);
    watching(groupID);
  }

  function rejoin() {
    return Promise.all(counters.joined().map(joinAgain));
  }

  function joinAgain(groupID) {
    return requests.ask({ cmd: 'joinGroup', groupID }, { limit: timeout, early: true, take: joined }).catch((fault) => {
      if (fault.code === NO_GROUP) event('GROUP_DISMISSED', { groupID });
      else if (fault.code === NOT_ALLOWED) event('GROUP_MEMBERSHIP_CHANGED', { groupID, status: 'removed' });
      else if (fault.code !== NO_ANSWER && fault.code !== NOT_READY) emit(EVENT.ERROR, fault);
    });
  }

  function ended(fault) {
    taps.clear(fault);
    counters.clear();
    watching();
  }

  const barred = () => session.wanted ? undefined : Promise.reject(new ChatError(NOT_READY, destroyed ? 'This chat has been destroyed: create another one.' : 'Log in first.'));

  const ask = (cmd, { signal, ...fields }, more) => barred() ?? requests.ask({ ...fields, cmd }, { limit: timeout, signal, ...more });

  async function write(cmd, fields, more) {
    for (const [key, value] of Object.entries(fields.counters ?? { value: fields.value })) integer(value, key);
    writes += 1;
    return ask(cmd, { opID: `${name}-${writes}`, ...fields }, { limit: WRITE_AGE_MS_MAX, again: true, counted: true, take: written, ...more });
  }

  function written({ groupID, version, key, value, counters: set = { [key]: value } }) {
    for (const [each, now] of Object.entries(set)) counters.learn({ groupID, key: each, value: now, version });
  }

  async function* watch(groupID, { signal } = {}) {
    const news = new Map(counters.changes(groupID).map((change) => [change.key, change]));
    let open = !signal?.aborted;
    let wake;
    const watcher = (where = groupID, change) => {
      if (where !== groupID) return;
      // Put at the end again, so that a busy counter starves no quiet one.
      if (change) news.delete(change.key);
      if (change) news.set(change.key, change);
      else open = false;
      wake?.();
    };
    const release = open && onAbort(signal, () => watcher());
    watchers.add(watcher);
    try {
      while (open) {
        const [change] = news.values();
        if (change) {
          news.delete(change.key);
          yield change;
        } else {
          await new Promise((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      watchers.delete(watcher);
      if (release) release();
    }
  }

  function moved({ type }) {
    if (env.document?.visibilityState === 'hidden') taps.flush(true);
    else session.wake(type === 'offline');
  }

  function sources(method) {
    for (const kind of ['online', 'offline', 'pageshow']) env.window?.[method](kind, moved);
    env.document?.[method]('visibilitychange', moved);
  }

  async function logout() {
    session.leave(new ChatError(NOT_READY, 'Logged out before the answer came.'));
    return { code: 0, data: {} };
  }

  sources('addEventListener');

  return {
    on,
    off,
    logout,
    watch,
    login: (fields) => (destroyed ? barred() : session.login(fields)),
    isReady: () => session.ready,
    reconnect: session.reconnect,
    counters: counters.view,
    ping: (more) => ask('ping', { ...more }),
    createGroup: (fields) => ask('createGroup', fields, { take: ({ group }) => group.type === TYPES.GRP_AVCHATROOM || counters.join(group.groupID) }),
    dismissGroup: (groupID, more) => ask('dismissGroup', { groupID, ...more }, { take: left }),
    joinGroup: (fields) => ask('joinGroup', fields, { again: true, take: joined }),
    quitGroup: (groupID, more) => ask('quitGroup', { groupID, ...more }, { take: left }),
    addGroupMember: (fields) => ask('addGroupMember', fields),
    deleteGroupMember: (fields) => ask('deleteGroupMember', fields),
    getGroupOnlineMemberCount: (groupID, more) => ask('getGroupOnlineMemberCount', { groupID, ...more }, { again: true }),
    getGroupCounters: (fields) => ask('getGroupCounters', fields, { again: true, take: (data) => counters.snapshot(data, fields.keyList) }),
    setGroupCounters: (fields) => write('setGroupCounters', fields),
    increaseGroupCounter: (fields) => write('increaseGroupCounter', fields),
    decreaseGroupCounter: (fields) => write('decreaseGroupCounter', fields),
    tap: (fields) => barred() ?? taps.add(fields),
    async destroy() {
      destroyed = true;
      over();
      sources('removeEventListener');
      logout();
      clear();
    },
  };
}
