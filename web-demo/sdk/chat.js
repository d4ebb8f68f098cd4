// One user's view of his groups: the calls of the vendor's SDK for group counters, and ours. It puts the parts together.

import { Counters } from './counters.js';
import { environment, randomName, socketURL } from './env.js';
import { Listeners } from './listeners.js';
import { ChatError, EVENT, NOT_READY, NO_ANSWER, TYPES } from './names.js';
import { Requests } from './requests.js';
import { Session } from './session.js';
import { Taps } from './taps.js';
import { Throttle } from './throttle.js';
import { integer, parse, shown } from './wire.js';

const WRITE_AGE_MS_MAX = 60_000;
// What the gateway tells that an app is told as it is.
const TOLD = ['KICKED_OUT', 'GROUP_DISMISSED', 'GROUP_MEMBERSHIP_CHANGED'];
const NOT_ALLOWED = 10007;
const NO_GROUP = 10010;
const DESTROYED = 'This chat has been destroyed: create another one.';

export class Chat {
  #env;
  #integers;
  #timeout;
  #requests;
  #session;
  #taps;
  #counters = new Counters((change) => this.#changed(change));
  #listeners = new Listeners();
  #watchers = new Set();
  #name = randomName();
  #writes = 0;
  #destroyed = false;
  #wake = ({ type }) => {
    if (this.#env.document?.visibilityState === 'hidden') this.#taps.flush(true);
    else this.#session.wake(type === 'offline');
  };

  constructor({ url, proxyServer, getUserSig, integers = 'auto', timeout = 10_000, env }) {
    this.#env = environment(env);
    this.#integers = integers;
    this.#timeout = timeout;
    const throttle = new Throttle();
    this.#requests = new Requests(this.#env, throttle);
    this.#taps = new Taps(this.#env, throttle, () => this.#requests.isReady,
      (increase, limit) => this.#write({ cmd: 'increaseGroupCounter', ...increase }, { limit, late: true }));
    this.#session = new Session({
      env: this.#env, url: socketURL(url ?? proxyServer), timeout, getUserSig, requests: this.#requests,
      on: {
        emit: (name, data) => this.#listeners.emit(name, data),
        text: (text) => this.#text(text),
        rejoin: () => Promise.all(this.#counters.joined().map((groupID) => this.#rejoin(groupID))),
        ready: () => this.#taps.flush(),
        down: () => this.#counters.disconnected(),
        over: (fault) => this.#over(fault),
      },
    });
    this.#eachSource('addEventListener');
  }

  login(options) {
    if (this.#destroyed) return Promise.reject(new ChatError(NOT_READY, DESTROYED));
    return this.#session.login(options);
  }

  get isDestroyed() {
    return this.#destroyed;
  }

  async logout() {
    this.#session.leave(new ChatError(NOT_READY, 'Logged out before the answer came.'));
    return { code: 0, data: {} };
  }

  async destroy() {
    this.#destroyed = true;
    this.#eachSource('removeEventListener');
    await this.logout();
    this.#listeners.clear();
  }

  isReady() {
    return this.#session.isReady;
  }

  on(name, handler, context, once) {
    this.#listeners.on(name, handler, context, once);
  }

  off(name, handler, context) {
    this.#listeners.off(name, handler, context);
  }

  createGroup({ type, name, groupID, joinOption, signal }) {
    const take = (data) => {
      if (data.group.type !== TYPES.GRP_AVCHATROOM) this.#counters.join(data.group.groupID);
      return data;
    };
    return this.#ask({ cmd: 'createGroup', type, name, groupID, joinOption }, { signal, take });
  }

  dismissGroup(groupID, { signal } = {}) {
    return this.#ask({ cmd: 'dismissGroup', groupID }, { signal, take: (data) => this.#left(groupID, data) });
  }

  joinGroup({ groupID, signal }) {
    return this.#ask({ cmd: 'joinGroup', groupID }, { signal, again: true, take: (data) => this.#joined(groupID, data) });
  }

  quitGroup(groupID, { signal } = {}) {
    return this.#ask({ cmd: 'quitGroup', groupID }, { signal, take: (data) => this.#left(groupID, data) });
  }

  addGroupMember({ groupID, userIDList, signal }) {
    return this.#ask({ cmd: 'addGroupMember', groupID, userIDList }, { signal });
  }

  deleteGroupMember({ groupID, userIDList, signal }) {
    return this.#ask({ cmd: 'deleteGroupMember', groupID, userIDList }, { signal });
  }

  getGroupOnlineMemberCount(groupID, { signal } = {}) {
    return this.#ask({ cmd: 'getGroupOnlineMemberCount', groupID }, { signal, again: true });
  }

  async setGroupCounters({ groupID, counters, signal }) {
    for (const [key, value] of Object.entries(counters)) integer(value, `The value of ${key}`);
    return this.#write({ cmd: 'setGroupCounters', groupID, counters }, { signal });
  }

  async increaseGroupCounter({ groupID, key, value, signal }) {
    return this.#write({ cmd: 'increaseGroupCounter', groupID, key, value: integer(value, 'value') }, { signal });
  }

  async decreaseGroupCounter({ groupID, key, value, signal }) {
    return this.#write({ cmd: 'decreaseGroupCounter', groupID, key, value: integer(value, 'value') }, { signal });
  }

  getGroupCounters({ groupID, keyList, signal }) {
    const take = (answer) => {
      const data = this.#shown(answer);
      this.#counters.snapshot(groupID, data, keyList);
      return data;
    };
    return this.#ask({ cmd: 'getGroupCounters', groupID, keyList }, { signal, again: true, take });
  }

  tap(options) {
    return this.#barred() ?? this.#taps.add(options);
  }

  counters(groupID) {
    return this.#counters.view(groupID);
  }

  async *watch(groupID, { signal } = {}) {
    if (signal?.aborted) return;
    const news = new Map(this.#counters.changes(groupID).map((change) => [change.key, change]));
    let open = true;
    let wake;
    const watcher = {
      groupID,
      take: (change) => {
        // Put at the end again, so that a busy counter starves no quiet one.
        news.delete(change.key);
        news.set(change.key, change);
        wake?.();
      },
      end: () => {
        open = false;
        wake?.();
      },
    };
    this.#watchers.add(watcher);
    signal?.addEventListener('abort', watcher.end);
    try {
      while (open) {
        for (const [key, change] of news) {
          news.delete(key);
          yield change;
          if (!open) return;
        }
        if (open && !news.size) await new Promise((resolve) => (wake = resolve));
      }
    } finally {
      this.#watchers.delete(watcher);
      signal?.removeEventListener('abort', watcher.end);
    }
  }

  ping({ signal } = {}) {
    return this.#ask({ cmd: 'ping' }, { signal });
  }

  reconnect() {
    this.#session.reconnect();
  }

  #ask(frame, options) {
    return this.#barred() ?? this.#requests.ask(frame, { limit: this.#timeout, ...options });
  }

  #barred() {
    if (!this.#session.wanted) return Promise.reject(new ChatError(NOT_READY, this.#destroyed ? DESTROYED : 'Log in first.'));
  }

  #write(frame, options) {
    this.#writes += 1;
    const take = (answer) => {
      const data = this.#shown(answer);
      const { groupID, version } = data;
      const values = data.counters ?? { [data.key]: data.value };
      for (const [key, value] of Object.entries(values)) this.#counters.learn({ groupID, key, value, version });
      return data;
    };
    return this.#ask({ ...frame, opID: `${this.#name}-${this.#writes}` }, { limit: WRITE_AGE_MS_MAX, again: true, counted: true, take, ...options });
  }

  #rejoin(groupID) {
    const take = (data) => this.#joined(groupID, data);
    return this.#requests.ask({ cmd: 'joinGroup', groupID }, { limit: this.#timeout, early: true, take }).catch((fault) => {
      if (fault.code === NO_ANSWER || fault.code === NOT_READY) return;
      if (fault.code === NO_GROUP) this.#event('GROUP_DISMISSED', { groupID });
      else if (fault.code === NOT_ALLOWED) this.#event('GROUP_MEMBERSHIP_CHANGED', { groupID, status: 'removed' });
      else this.#listeners.emit(EVENT.ERROR, fault);
    });
  }

  #joined(groupID, answer) {
    this.#counters.join(groupID);
    const data = this.#shown(answer);
    this.#counters.snapshot(groupID, data);
    return data;
  }

  #left(groupID, data) {
    this.#counters.leave(groupID);
    for (const watcher of this.#watchers) if (watcher.groupID === groupID) watcher.end();
    return data;
  }

  #over(fault) {
    this.#taps.clear(fault);
    this.#counters.clear();
    for (const watcher of this.#watchers) watcher.end();
  }

  #text(text) {
    try {
      const frame = parse(text);
      if (frame.event === undefined) this.#requests.answered(frame);
      else this.#event(frame.event, frame.data);
    } catch (fault) {
      this.#listeners.emit(EVENT.ERROR, fault);
    }
  }

  #event(name, data) {
    if (name === 'GROUP_COUNTER_UPDATED') {
      this.#counters.push(this.#shown(data));
    } else if (name === 'GROUP_RESYNC') {
      this.#counters.resync(data.groupID, this.#shown(data));
    } else if (TOLD.includes(name)) {
      if (name === 'GROUP_DISMISSED' || data.status === 'removed') this.#left(data.groupID);
      if (data.status === 'added') this.#rejoin(data.groupID);
      this.#listeners.emit(EVENT[name], data);
    }
  }

  #changed(change) {
    for (const watcher of this.#watchers) if (watcher.groupID === change.groupID) watcher.take(change);
    const { groupID, key, value } = change;
    this.#listeners.emit(EVENT.GROUP_COUNTER_UPDATED, { groupID, key, value });
  }

  /** The same data with its counters as the app wants to see them. */
  #shown(data) {
    const kind = this.#integers;
    if (data.counters) return { ...data, counters: Object.fromEntries(Object.entries(data.counters).map(([key, value]) => [key, shown(value, kind)])) };
    return { ...data, value: shown(data.value, kind) };
  }

  #eachSource(method) {
    const { window, document } = this.#env;
    for (const name of ['online', 'offline', 'pageshow']) window?.[method](name, this.#wake);
    document?.[method]('visibilitychange', this.#wake);
  }
}
