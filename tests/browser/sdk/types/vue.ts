// Compiles only while Vue's templates, and TSX, know the element, and know what it needs.

import type { GlobalComponents } from 'vue';
import { GroupCounter } from 'tallycast/element/vue';
import type { Chat } from 'tallycast';

declare const chat: Chat;
GroupCounter.chat = chat;
type Props = InstanceType<GlobalComponents['group-counter']>['$props'];
export const right: Props = { group: 'live', counter: 'like', chat, class: 'big' };
// @ts-expect-error the counter is missing
export const noCounter: Props = { group: 'live' };
// @ts-expect-error a group is named by a text
export const noText: Props = { group: 5, counter: 'like' };
