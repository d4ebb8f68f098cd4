// <group-counter group="live" counter="like">: one counter as text, current for as long as it is on the page.

import { follow } from './follow.js';

const waiting = new Set();
let shared = null;

// A server has no elements, and may still import this.
export class GroupCounter extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = ['group', 'counter', 'key'];
  #own = null;
  #stop = null;
  #blank;
  value;

  static get chat() {
    return shared;
  }

  static set chat(chat) {
    shared = chat;
    for (const element of waiting) element.#start();
  }

  get chat() {
    return this.#own ?? shared;
  }

  set chat(chat) {
    this.#own = chat;
    this.#start();
  }

  connectedCallback() {
    waiting.add(this);
    this.#start();
  }

  disconnectedCallback() {
    waiting.delete(this);
    this.#stop?.();
  }

  attributeChangedCallback() {
    this.#start();
  }

  async tap(value) {
    return this.chat.tap({ groupID: this.getAttribute('group'), key: this.#key, value });
  }

  // Frameworks keep `key` to themselves.
  get #key() {
    return this.getAttribute('counter') ?? this.getAttribute('key');
  }

  #start() {
    this.#stop?.();
    this.#stop = null;
    const group = this.getAttribute('group');
    if (!this.isConnected || !this.chat || !group) return;
    const { subscribe, state } = follow(this.chat, group);
    this.#stop = subscribe(() => this.#show(state()));
    this.#show(state());
  }

  #show({ counters, error }) {
    const key = this.#key;
    const value = counters && Object.hasOwn(counters, key) ? counters[key] : undefined;
    this.toggleAttribute('data-error', Boolean(error));
    if (error) this.dataset.error = error.code;
    if (value === this.value) return;
    this.value = value;
    this.#blank ??= this.textContent;
    this.textContent = value?.toLocaleString(this.closest('[lang]')?.lang) ?? this.#blank;
    if (value === undefined) delete this.dataset.value;
    else this.dataset.value = value;
    this.dispatchEvent(new Event('change'));
  }
}

globalThis.customElements?.define('group-counter', GroupCounter);
