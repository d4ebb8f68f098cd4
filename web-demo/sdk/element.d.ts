import type { Chat, Integer } from './index.js';

/** The attributes of `<group-counter>`. */
export interface GroupCounterAttributes {
  /** The group's id. */
  group: string;
  /** The counter's key. In plain HTML `key` is the same; React, Preact and Vue keep that one to themselves. */
  counter: string;
  /** Set as a property: by React from 19 on, Preact, Vue and Svelte. */
  chat?: Chat | null | undefined;
}

/**
 * `<group-counter group="live" counter="like"></group-counter>`: shows one counter and keeps it current. Importing this file
 * defines it, and does nothing on a server. Joins the group while its `chat` is logged in. While the value is not known (not
 * joined yet, no such counter, an attribute is missing) it shows what was written inside it: nothing, or words of yours.
 * `data-value` holds the exact digits; `data-error` the code of a refused join. Fires `change` (a plain Event) with each new
 * value.
 */
export class GroupCounter extends HTMLElement {
  /** The connection of every element that has none of its own. Set it before or after they are on the page. */
  static chat: Chat | null;
  /** This element's own connection. */
  chat: Chat | null;
  /** The value shown; undefined while it is not known. */
  readonly value: Integer | undefined;
  /** As `chat.tap` for this counter. */
  tap(value?: Integer): ReturnType<Chat['tap']>;
}

declare global {
  interface HTMLElementTagNameMap {
    'group-counter': GroupCounter;
  }
}
