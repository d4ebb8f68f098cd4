// The counters held of each group. Its promise: a number never runs backwards. Pure: it tells each newer value once, by
// whatever way it came.

const GROUPS_MAX = 256;
const KEYS_MAX = 64;

export class Counters {
  #groups = new Map();
  #tell;

  /** `tell({ groupID, key, value, version, deleted })` hears of each change. */
  constructor(tell) {
    this.#tell = tell;
  }

  /** Takes one value, from a push or an answer, and tells it even where it is the old one. What is not newer than what is held changes nothing. */
  learn({ groupID, key, value, version, deleted }) {
    const group = this.#group(groupID);
    if (version > (group.held.get(key)?.version ?? group.floor)) this.#put(group, key, deleted ? undefined : value, version, true);
  }

  /** Takes the counters of a whole group, or of `keyList` alone. Another epoch than the one held voids what is held. */
  snapshot(groupID, { epoch, version, counters }, keyList) {
    const group = this.#group(groupID);
    const same = group.epoch === undefined || group.epoch === epoch;
    const known = new Map(Object.entries(counters));
    const asked = keyList?.length && same ? keyList : new Set([...group.held.keys(), ...known.keys()]);
    group.epoch = epoch;
    for (const key of asked) {
      const slot = group.held.get(key);
      if (same && slot?.version >= version) continue;
      this.#put(group, key, known.get(key), version);
    }
    if (!keyList?.length || !same) group.floor = same && group.floor > version ? group.floor : version;
  }

  /** Takes a push, which only those get who are in the group. */
  push(change) {
    this.#group(change.groupID).joined ??= true;
    this.learn(change);
  }

  /** Takes a snapshot that voids what is held, whatever the epochs say. */
  resync(groupID, snapshot) {
    this.#group(groupID).epoch = null;
    this.snapshot(groupID, snapshot);
  }

  /** The group has this user in it, and is to be joined again. */
  join(groupID) {
    this.#group(groupID).joined = true;
  }

  /** The user is no longer in the group. Known until the connection ends, because a last push may still be on its way. */
  leave(groupID) {
    this.#groups.delete(groupID);
    this.#group(groupID).joined = false;
  }

  /** The groups to join again. */
  joined() {
    return [...this.#groups.values()].filter(({ joined }) => joined).map(({ groupID }) => groupID);
  }

  /** The connection is gone: what no new snapshot will confirm is void. */
  disconnected() {
    for (const [groupID, group] of this.#groups) {
      if (!group.joined) this.#groups.delete(groupID);
      else if (group.epoch === undefined) this.#void(group);
    }
  }

  clear() {
    this.#groups.clear();
  }

  /** `{ key: value }` of the counters that exist, the same object until one changes; undefined where nothing is known. */
  view(groupID) {
    const group = this.#groups.get(groupID);
    if (!group || (group.epoch === undefined && !group.held.size)) return undefined;
    group.view ??= Object.freeze(Object.fromEntries(this.changes(groupID).map(({ key, value }) => [key, value])));
    return group.view;
  }

  /** The counters that exist, each as the change that brought it. */
  changes(groupID) {
    const held = [...this.#groups.get(groupID)?.held ?? []];
    return held.filter(([, { value }]) => value !== undefined).map(([key, slot]) => ({ groupID, key, ...slot }));
  }

  #group(groupID) {
    let group = this.#groups.get(groupID);
    if (!group) {
      if (this.#groups.size >= GROUPS_MAX) this.#groups.delete(this.#groups.keys().next().value);
      group = { groupID, floor: -1, held: new Map() };
      this.#groups.set(groupID, group);
    }
    return group;
  }

  #void(group) {
    group.held.clear();
    group.view = undefined;
  }

  #put(group, key, value, version, tell) {
    const { groupID, held } = group;
    const before = held.get(key)?.value;
    // A deleted counter stays as a mark, so that an older push cannot bring it back.
    held.set(key, { value, version });
    if (held.size > KEYS_MAX) for (const [old, slot] of held) if (slot.value === undefined) held.delete(old);
    group.view = undefined;
    if (tell || value !== before) this.#tell({ groupID, key, version, ...(value === undefined ? { value: 0, deleted: true } : { value }) });
  }
}
