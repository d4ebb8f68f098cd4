// The counters of one room as this page holds them. Its promise: a number never runs backwards. Pure: no page, no socket.

export class Room {
  #epoch = null;
  #floor = -1n;
  #held = new Map();

  /** True once a snapshot has come: before that nothing is known and every push is ignored. */
  get known() {
    return this.#epoch !== null;
  }

  /** Takes the counters of a joinGroup answer. An epoch other than the one held voids what is held. */
  snapshot({ counters, version, epoch }) {
    if (epoch !== this.#epoch) return this.resync({ counters, version, epoch });
    const at = BigInt(version);
    if (at < this.#floor) return;
    for (const [key, slot] of this.#held) {
      if (slot.version <= at && !Object.hasOwn(counters, key)) this.#held.delete(key);
    }
    for (const [key, value] of Object.entries(counters)) {
      const slot = this.#held.get(key);
      if (!slot || slot.version <= at) this.#held.set(key, { value: BigInt(value), version: at });
    }
    this.#floor = at;
  }

  /** Takes a GROUP_RESYNC: whatever was held before it is void. */
  resync({ counters, version, epoch }) {
    const at = BigInt(version);
    this.#epoch = epoch;
    this.#floor = at;
    this.#held = new Map(Object.entries(counters).map(([key, value]) => [key, { value: BigInt(value), version: at }]));
  }

  /** Takes a push. Returns false, and changes nothing, when it is not newer than what is held for its key. */
  push({ key, value, version, deleted }) {
    if (!this.known) return false;
    const at = BigInt(version);
    const held = this.#held.get(key)?.version ?? this.#floor;
    if (at <= held) return false;
    // A deleted counter stays as a mark without a value, so that an older push cannot bring it back.
    this.#held.set(key, { value: deleted ? null : BigInt(value), version: at });
    return true;
  }

  /** The counters that exist, as [key, BigInt]: the well-known ones first, the others by name. */
  counters() {
    return [...this.#held]
      .filter(([, slot]) => slot.value !== null)
      .map(([key, slot]) => [key, slot.value])
      .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
  }

  value(key) {
    return this.#held.get(key)?.value ?? null;
  }
}

const WELL_KNOWN = ['like', 'gift', 'viewers'];

function rank(key) {
  const at = WELL_KNOWN.indexOf(key);
  return at < 0 ? WELL_KNOWN.length : at;
}
