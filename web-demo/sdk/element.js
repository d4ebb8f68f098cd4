// <group-counter group="live" key="like">: one counter as text, current for as long as it is on the page.

import { follow } from './follow.js';

const waiting = new Set();
let shared = null;

export class GroupCounter extends HTMLElement {
  static observedAttributes = ['group', 'key'];
  #own = null;
  #stop = null;
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
    return this.chat.tap({ groupID: this.getAttribute('group'), key: this.getAttribute('key'), value });
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
    const key = this.getAttribute('key');
    const value = counters && Object.hasOwn(counters, key) ? counters[key] : counters && 0;
    this.toggleAttribute('data-error', Boolean(error));
    if (error) this.dataset.error = error.code;
    if (value === this.value) return;
    this.value = value;
    this.textContent = value?.toLocaleString(this.closest('[lang]')?.lang) ?? '';
    if (value === undefined) delete this.dataset.value;
    else this.dataset.value = value;
    this.dispatchEvent(new Event('change'));
  }
}

customElements.define('group-counter', GroupCounter);
