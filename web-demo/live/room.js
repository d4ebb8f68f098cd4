// What this page knows of one room: its counters as told and as tapped. Pure: no page, no socket.

import { Tally } from './tally.js';

export class Room {
  #tallies = new Map();
  /** True once this viewer is in the room and has its numbers. */
  known = false;

  constructor(group) {
    this.group = group;
  }

  /** Each counter that exists, as [key, Tally]. */
  get tallies() {
    return this.#tallies;
  }

  /** Own taps without an answer, over all counters. */
  get waiting() {
    let count = 0;
    for (const tally of this.#tallies.values()) count += tally.waiting;
    return count;
  }

  tell(key, value) {
    this.#tally(key).tell(value);
  }

  /** The counter is gone; with own taps on their way it stays, as 0. */
  drop(key) {
    const tally = this.#tally(key);
    tally.tell(0n);
    if (tally.waiting === 0) this.#tallies.delete(key);
  }

  /** Counts an own tap; returns the call that settles it, or null where too many wait. */
  tap(key) {
    const tally = this.#tally(key);
    const tap = tally.tap();
    return tap && (() => tally.settle(tap));
  }

  /** The connection is gone. */
  lose() {
    for (const tally of this.#tallies.values()) tally.lose();
  }

  /** The viewer is no longer in the room. */
  leave() {
    this.known = false;
    for (const [key, tally] of this.#tallies) if (tally.waiting === 0) this.#tallies.delete(key);
  }

  #tally(key) {
    let tally = this.#tallies.get(key);
    if (!tally) this.#tallies.set(key, tally = new Tally());
    return tally;
  }
}
