// <group-counter> in three frameworks that keep `key` to themselves, each as its own render function writes it.

import { h, render } from 'preact';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { create } from 'tallycast';
import 'tallycast/element/react';
import { createApp, h as vueElement } from 'vue';

export { create };

/** Puts one element of each into `#react`, `#preact` and `#vue`, with a chat of its own as a property. */
export function mount(attributes) {
  const place = (id) => document.body.appendChild(Object.assign(document.createElement('div'), { id }));
  createRoot(place('react')).render(createElement('group-counter', attributes));
  render(h('group-counter', attributes), place('preact'));
  createApp({ render: () => vueElement('group-counter', attributes) }).mount(place('vue'));
}
