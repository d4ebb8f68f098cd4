import type { Chat, Integer } from './index.js';

/**
 * `<group-counter group="live" key="like"></group-counter>`: shows one counter and keeps it current. Importing this file
 * defines it. Joins the group while its `chat` is logged in. `data-value` holds the exact digits; `data-error` the code of a
 * refused join. Fires `change` (a plain Event) with each new value.
 */
export class GroupCounter extends HTMLElement {
  /** The connection of every element that has none of its own. Set it before or after they are on the page. */
  static chat: Chat | null;
  /** This element's own connection. */
  chat: Chat | null;
  /** The value shown; undefined until it is known. */
  readonly value: Integer | undefined;
  /** As `chat.tap` for this counter. */
  tap(value?: Integer): ReturnType<Chat['tap']>;
}

declare global {
  interface HTMLElementTagNameMap {
    'group-counter': GroupCounter;
  }
}
