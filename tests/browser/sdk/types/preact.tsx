// Compiles only while Preact knows the element, and knows what it needs.

import { GroupCounter } from 'tallycast/element/preact';
import type { Chat } from 'tallycast';

declare const chat: Chat;
GroupCounter.chat = chat;
export const right = <button class="like"><group-counter group="live" counter="like" chat={chat} class="big" ref={(element) => { element?.tap(); }}>–</group-counter></button>;
// @ts-expect-error the counter is missing
export const noCounter = <group-counter group="live" />;
// @ts-expect-error a group is named by a text
export const noText = <group-counter group={5} counter="like" />;
