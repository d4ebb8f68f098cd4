// The groups of one user: what the gateway tells of them, joining them again on each new connection, and watching one in a loop.

import { makeCounters } from './counters.js';
import { onAbort } from './env.js';
import { ASKED, DISK_FAILED, EVENT, NO_GROUP, TYPES } from './names.js';

export function makeGroups({ held, requests, emit }) {
  const watchers = new Set();
  const counters = makeCounters((change) => {
    const { groupID, key, value } = change;
    tell(groupID, change);
    emit(EVENT.GROUP_COUNTER_UPDATED, { groupID, key, value });
  });

  // To watchers of this group, or of any; without a change it is the end.
  function tell(groupID, change) {
    for (const watcher of watchers) watcher(groupID, change);
  }

  function follows(data) {
    const group = counters.open(data.group.groupID);
    group.joined ||= true;
    group.snapshot(data);
  }

  function joined(data) {
    counters.open(data.group.groupID).joined = ASKED;
    follows(data);
  }

  function left({ groupID }) {
    counters.leave(groupID);
    tell(groupID);
  }

  function join(groupID) {
    // A group that the app has not asked for must not take the place of one that it will ask for.
    const asked = counters.open(groupID).joined === ASKED;
    return requests.ask({ cmd: 'joinGroup', groupID, asked }, { limit: held.timeout, early: true, take: follows }).catch((fault) => {
      // No answer: the next connection asks again.
      if (fault.code < DISK_FAILED) return;
      if (fault.code === NO_GROUP) event('GROUP_DISMISSED', { groupID });
      else event('GROUP_MEMBERSHIP_CHANGED', { groupID, status: 'removed' });
    });
  }

  /** Takes what the gateway tells without being asked. */
  function event(name, data) {
    const { groupID, status } = data;
    if (name === 'GROUP_COUNTER_UPDATED') return counters.push(data);
    if (name === 'GROUP_RESYNC') return counters.open(groupID).snapshot(data, null, true);
    if (/DISMISSED|UNSUB/.test(name) || status === 'removed') left(data);
    else if (status === 'added') join(groupID);
    else if (name !== 'KICKED_OUT' || (held.getUserSig && data.type === TYPES.KICKED_OUT_USERSIG_EXPIRED)) return;
    emit(EVENT[name], data);
  }

  return {
    counters,
    joined,
    left,
    event,
    rejoin: () => Promise.all(counters.joined().map(join)),

    watch: (groupID, { signal } = {}) => watch(groupID, signal, counters, watchers),

    over() {
      counters.clear();
      tell();
    },
  };
}

async function* watch(groupID, signal, counters, watchers) {
  if (signal?.aborted) return;
  const news = new Map(counters.changes(groupID).map((change) => [change.key, change]));
  let open = true;
  let wake;
  const watcher = (where = groupID, change) => {
    if (where !== groupID) return;
    open &&= change;
    // Put at the end again, so that a busy counter starves no quiet one.
    if (open) news.delete(change.key);
    if (open) news.set(change.key, change);
    wake?.();
  };
  const release = onAbort(signal, () => watcher());
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
    release();
  }
}
