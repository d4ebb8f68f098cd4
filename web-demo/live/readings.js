// Reads the frames of the wire for what engineers want to know: latencies, pushes, and how many writes each push stands for.
// Pure: frames and time come in. What it waits for is bounded.

import { Durations, PerSecond } from './meter.js';

const WAITS_MAX = 256;
const SECONDS = 60;
const WRITES = new Set(['setGroupCounters', 'increaseGroupCounter', 'decreaseGroupCounter']);

function bounded(map) {
  if (map.size > WAITS_MAX) map.delete(map.keys().next().value);
}

export class Readings {
  /** From a write to its answer. */
  answers = new Durations();
  /** From a write to the push that shows it: to the viewer's own screen and back through the whole server. */
  pushes = new Durations();
  /** From a ping to its pong. */
  trips = new Durations();
  #pushed = new PerSecond(SECONDS);
  #written = new PerSecond(SECONDS);
  #asked = new Map();
  #unseen = new Map();
  #versions = new Map();

  /** Takes a frame, `in` or `out`. */
  frame(direction, text, now) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (direction === 'out') this.#sent(frame, now);
    else if (frame.event === 'GROUP_COUNTER_UPDATED') this.#push(frame.data, now);
    else if (this.#asked.has(frame.id)) this.#answer(frame, now);
  }

  /** The connection is gone: what it owes will not come. */
  lose() {
    this.#asked.clear();
    this.#unseen.clear();
    this.#versions.clear();
  }

  /** Writes of the rooms and pushes received, for each of the last 60 full seconds. */
  series(now) {
    return { writes: this.#written.series(now), pushes: this.#pushed.series(now) };
  }

  #sent({ id, cmd, groupID, key, counters }, now) {
    this.#asked.set(id, { cmd, at: now, groupID, keys: counters ? Object.keys(counters) : [key] });
    bounded(this.#asked);
  }

  #answer({ id, code, data }, now) {
    const { cmd, at, groupID, keys } = this.#asked.get(id);
    this.#asked.delete(id);
    if (code !== 0) return;
    if (cmd === 'ping') this.trips.add(now - at);
    if (cmd === 'joinGroup') this.#versions.set(data.group.groupID, data.version);
    if (!WRITES.has(cmd) || data.replayed) return;
    this.answers.add(now - at);
    for (const key of keys) this.#unseen.set(`${data.version} ${key} ${groupID}`, { at, groupID, key, version: data.version });
    bounded(this.#unseen);
  }

  #push({ groupID, key, version }, now) {
    this.#pushed.add(now);
    const before = this.#versions.get(groupID);
    if (before !== undefined && version > before) this.#written.add(now, version - before);
    if (!(version < before)) this.#versions.set(groupID, version);
    for (const [name, write] of this.#unseen) {
      if (write.groupID !== groupID || write.key !== key || write.version > version) continue;
      this.pushes.add(now - write.at);
      this.#unseen.delete(name);
    }
  }
}
