// The counters held of each group. Its promise: a number never runs backwards. Pure: it tells each newer value once, by
// whatever way it came.

const GROUPS_MAX = 256;
const KEYS_MAX = 64;

/** `tell({ groupID, key, value, version, deleted })` hears of each change. */
export function makeCounters(tell) {
  const groups = new Map();

  function open(groupID) {
    let group = groups.get(groupID);
    if (!group) {
      if (groups.size >= GROUPS_MAX) groups.delete(groups.keys().next().value);
      group = { groupID, floor: -1, held: new Map() };
      groups.set(groupID, group);
    }
    return group;
  }

  function put(group, key, value, version, always) {
    const { groupID, held } = group;
    const before = held.get(key)?.value;
    // A deleted counter stays as a mark, so that an older push cannot bring it back.
    held.set(key, { value, version });
    if (held.size > KEYS_MAX) for (const [old, slot] of held) if (slot.value === undefined) held.delete(old);
    group.view = undefined;
    if (always || value !== before) tell({ groupID, key, version, ...(value === undefined ? { value: 0, deleted: true } : { value }) });
  }

  /** Takes one value, from a push or an answer, and tells it even where it is the old one. What is not newer changes nothing. */
  function learn({ groupID, key, value, version, deleted }) {
    const group = open(groupID);
    if (version > (group.held.get(key)?.version ?? group.floor)) put(group, key, deleted ? undefined : value, version, true);
  }

  /** Takes the counters of a whole group, or of `keyList` alone. Another epoch than the one held voids what is held. */
  function snapshot({ groupID, epoch, version, counters }, keyList) {
    const group = open(groupID);
    const same = group.epoch === undefined || group.epoch === epoch;
    const part = same && keyList?.length;
    group.epoch = epoch;
    for (const key of part ? keyList : new Set([...group.held.keys(), ...Object.keys(counters)])) {
      if (!same || !(group.held.get(key)?.version >= version)) put(group, key, Object.hasOwn(counters, key) ? counters[key] : undefined, version);
    }
    if (!part && !(same && group.floor > version)) group.floor = version;
  }

  /** The counters that exist, each as the change that brought it. */
  const changes = (groupID) => [...groups.get(groupID)?.held ?? []].filter(([, { value }]) => value !== undefined).map(([key, slot]) => ({ groupID, key, ...slot }));

  return {
    learn,
    snapshot,
    changes,

    /** Takes a push, which only those get who are in the group. */
    push(change) {
      open(change.groupID).joined ??= true;
      learn(change);
    },

    /** Takes a snapshot that voids what is held, whatever the epochs say. */
    resync(data) {
      open(data.groupID).epoch = null;
      snapshot(data);
    },

    /** The group has this user in it, and is to be joined again. */
    join(groupID) {
      open(groupID).joined = true;
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
        if (!group.joined) groups.delete(groupID);
        else if (group.epoch === undefined) group.view = group.held.clear();
      }
    },

    clear() {
      groups.clear();
    },

    /** `{ key: value }` of the counters that exist, the same object until one changes; undefined where nothing is known. */
    view(groupID) {
      const group = groups.get(groupID);
      if (!group || (group.epoch === undefined && !group.held.size)) return undefined;
      return (group.view ??= Object.freeze(Object.fromEntries(changes(groupID).map(({ key, value }) => [key, value]))));
    },
  };
}
