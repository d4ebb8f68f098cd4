// The counters held of each group. Its promise: a number never runs backwards. Pure: it tells each newer value once, by
// whatever way it came.

const GROUPS_MAX = 256;
const KEYS_MAX = 64;

/** One group. `tell({ groupID, key, value, version, deleted })` hears of each change. */
function makeGroup(groupID, tell) {
  const held = new Map();
  let epoch;
  let floor = -1;
  let view;

  function put(key, value, version, always) {
    const before = held.get(key)?.value;
    // A deleted counter stays as a mark, while there is place, so that an older push cannot bring it back.
    if (value === undefined && held.size > KEYS_MAX) held.delete(key);
    else held.set(key, { value, version });
    view = undefined;
    if (always || value !== before) tell({ groupID, key, value: value ?? 0, version, ...(value === undefined && { deleted: true }) });
  }

  /** The counters that exist, each as the change that brought it. */
  const changes = () => [...held].filter(([, { value }]) => value !== undefined).map(([key, slot]) => ({ groupID, key, ...slot }));

  return {
    changes,

    /** Takes one value and tells it, even where it is the old one. What is not newer than what is held changes nothing. */
    learn({ key, value, version, deleted }) {
      if (version > (held.get(key)?.version ?? floor)) put(key, deleted ? undefined : value, version, true);
    },

    /** Takes all counters, or those of `keyList` alone. Another epoch than the one held, or `anew`, voids what is held. */
    snapshot(data, keyList, anew) {
      const { version, counters } = data;
      const same = !anew && (epoch === undefined || epoch === data.epoch);
      const part = same && keyList?.length;
      epoch = data.epoch;
      for (const key of part ? keyList : new Set([...held.keys(), ...Object.keys(counters)])) {
        if (!same || !(held.get(key)?.version >= version)) put(key, Object.hasOwn(counters, key) ? counters[key] : undefined, version);
      }
      if (!part && !(same && floor > version)) floor = version;
    },

    /** Without an epoch nothing can confirm what is held. */
    disconnected() {
      if (epoch === undefined) view = held.clear();
    },

    /** `{ key: value }` of the counters that exist, the same object until one changes; undefined where nothing is known. */
    view() {
      if (epoch === undefined && !held.size) return undefined;
      return (view ??= Object.fromEntries(changes().map(({ key, value }) => [key, value])));
    },
  };
}

export function makeCounters(tell) {
  const groups = new Map();

  function open(groupID) {
    if (groups.size >= GROUPS_MAX && !groups.has(groupID)) groups.delete(groups.keys().next().value);
    if (!groups.has(groupID)) groups.set(groupID, makeGroup(groupID, tell));
    return groups.get(groupID);
  }

  return {
    open,
    view: (groupID) => groups.get(groupID)?.view(),
    changes: (groupID) => groups.get(groupID)?.changes() ?? [],
    clear: () => groups.clear(),

    /** Takes a push, which only those get who are in the group. */
    push(change) {
      const group = open(change.groupID);
      group.joined ??= true;
      group.learn(change);
    },

    /** The user is no longer in the group. Known until the connection ends, because a last push may still be on its way. */
    leave(groupID) {
      groups.delete(groupID);
      open(groupID).joined = false;
    },

    /** The groups to join again. */
    joined: () => [...groups.keys()].filter((groupID) => groups.get(groupID).joined),

    /** The connection is gone: what no new snapshot will confirm is void. */
    disconnected() {
      for (const [groupID, group] of groups) {
        if (group.joined) group.disconnected();
        else groups.delete(groupID);
      }
    },
  };
}
