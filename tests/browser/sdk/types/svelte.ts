// Compiles only while Svelte knows the element, and knows what it needs.

import type { SvelteHTMLElements } from 'svelte/elements';
import { GroupCounter } from 'tallycast/element/svelte';
import type { Chat } from 'tallycast';

declare const chat: Chat;
GroupCounter.chat = chat;
type Props = SvelteHTMLElements['group-counter'];
export const right: Props = { group: 'live', counter: 'like', chat, class: 'big' };
// @ts-expect-error the counter is missing
export const noCounter: Props = { group: 'live' };
// @ts-expect-error a group is named by a text
export const noText: Props = { group: 5, counter: 'like' };
