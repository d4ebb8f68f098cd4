// Compiles only while React knows the element, and knows what it needs.

import { GroupCounter } from 'tallycast/element/react';
import type { Chat } from 'tallycast';

declare const chat: Chat;
GroupCounter.chat = chat;
export const right = <button className="like"><group-counter group="live" counter="like" chat={chat} className="big" ref={(element) => { element?.tap(); }}>–</group-counter></button>;
// @ts-expect-error the counter is missing
export const noCounter = <group-counter group="live" />;
// @ts-expect-error a group is named by a text
export const noText = <group-counter group={5} counter="like" />;
