// A number on the page that runs to its value. It writes one text node, and never a step in the wrong direction.

import { still } from './frames.js';
import { digits } from './things.js';
import { Tween } from './tween.js';

const UP_MS = 450;
const DOWN_MS = 250;

/** Shows numbers in `element`. Its `data-value` is the value it runs to. */
export class Digits {
  #element;
  #tween = new Tween();
  #aim = null;
  #shown = null;

  constructor(element) {
    this.#element = element;
  }

  /** Where the number runs to, or null. */
  get aim() {
    return this.#aim;
  }

  /** Shows `value` from now on. The first value after a `clear` stands there at once. */
  to(value, now) {
    if (value === this.#aim) return;
    if (this.#aim === null || still()) this.#tween.set(value);
    else this.#tween.to(value, now, value > this.#aim ? UP_MS : DOWN_MS);
    this.#aim = value;
    this.#element.dataset.value = value;
  }

  clear() {
    this.#aim = this.#shown = null;
    this.#element.textContent = '–';
    delete this.#element.dataset.value;
  }

  paint(now) {
    if (this.#aim === null) return;
    const value = this.#tween.at(now);
    if (value === this.#shown) return;
    this.#shown = value;
    const text = digits(value);
    this.#element.textContent = text;
    this.#element.style.setProperty('--length', text.length);
  }
}
