// Compiles only while our client is what the vendor's declarations say, and while it refuses what it cannot do.

import type VendorDefault from '@tencentcloud/chat';
import type { ChatSDK } from '@tencentcloud/chat';
import TencentCloudChat, { create, ChatError, EVENT, TYPES, type Chat, type CounterChange, type Integer } from 'tallycast';
import { useGroupCounters } from 'tallycast/react';
import { GroupCounter } from 'tallycast/element';
import { WebSocket } from 'ws';

type Surface = 'login' | 'logout' | 'destroy' | 'isReady' | 'on' | 'off' | 'createGroup' | 'dismissGroup' | 'joinGroup' | 'quitGroup'
  | 'addGroupMember' | 'deleteGroupMember' | 'getGroupOnlineMemberCount' | 'getGroupProfile' | 'getLoginUser' | 'setLogLevel' | 'registerPlugin' | 'setGroupCounters' | 'increaseGroupCounter' | 'decreaseGroupCounter' | 'getGroupCounters';

declare const chat: Chat;
export const asTheVendors: Pick<ChatSDK, Surface> = chat;

// Every value of ours that has one of the vendor's names is the vendor's value.
type Vendor = typeof VendorDefault;
type None<K> = [K] extends [never] ? true : K;
type Differing<T, V> = { [K in keyof T & keyof V]: `${V[K] & string}` extends T[K] ? never : K }[keyof T & keyof V];
export const sameEvents: None<Differing<typeof EVENT, Vendor['EVENT']>> = true;
export const sameTypes: None<Differing<typeof TYPES, Vendor['TYPES']>> = true;
export const ownEvents: None<Exclude<keyof typeof EVENT, keyof Vendor['EVENT'] | 'GROUP_DISMISSED' | 'GROUP_MEMBERSHIP_CHANGED' | 'GROUP_UNSUBSCRIBED'>> = true;
export const ownTypes: None<Exclude<keyof typeof TYPES, keyof Vendor['TYPES']>> = true;
// But for the address, which is a `String` there and a `string` here.
export const createAsTheVendors: (options: Omit<Parameters<typeof VendorDefault.create>[0], 'proxyServer'>) => Pick<ChatSDK, Surface> = TencentCloudChat.create;

export async function used(signal: AbortSignal): Promise<Integer> {
  const one = create({ SDKAppID: 1, url: '/ws', integers: 'bigint', getUserSig: async (userID) => userID, timeout: 5, env: { random: () => 0 } });
  one.on(EVENT.GROUP_COUNTER_UPDATED, ({ data }) => {
    const value: Integer = data.value;
    return value;
  });
  one.on(TencentCloudChat.EVENT.NET_STATE_CHANGE, (event) => event.data.retryIn?.toFixed());
  one.on('anything', () => {}, undefined, true);
  const { data } = await one.joinGroup({ groupID: 'live', signal });
  const { value } = (await one.tap({ groupID: 'live', key: 'like', value: 1n })).data;
  for await (const change of one.watch('live', { signal })) change satisfies CounterChange;
  await one.setGroupCounters({ groupID: 'live', counters: { like: 1, gift: 2n }, opID: 'mine' });
  const held: Integer | undefined = one.counters('live')?.['like'];
  useGroupCounters(one, 'live').error?.code satisfies number | undefined;
  GroupCounter.chat = one;
  document.createElement('group-counter').value satisfies Integer | undefined;
  const fault: unknown = null;
  if (fault instanceof ChatError) fault.retryAfter satisfies number | undefined;
  return held ?? data.version ?? value;
}

export async function narrowed(signal: AbortSignal): Promise<void> {
  const numbers = create({ SDKAppID: 1, integers: 'number' });
  const bigints = create({ SDKAppID: 1, integers: 'bigint' });
  const either = create({ SDKAppID: 1 });
  either.counters('live')?.['like'] satisfies Integer | undefined;
  // @ts-expect-error it may be a bigint
  either.counters('live')?.['like'] satisfies number | undefined;
  numbers.counters('live')?.['like'] satisfies number | undefined;
  numbers.on(EVENT.GROUP_COUNTER_UPDATED, ({ data }) => data.value.toFixed());
  bigints.on(EVENT.GROUP_COUNTER_UPDATED, ({ data }) => data.value satisfies bigint);
  (await numbers.tap({ groupID: 'live', key: 'like', value: 2n })).data.value satisfies number;
  (await bigints.setGroupCounters({ groupID: 'live', counters: { like: 1 } })).data.counters['like'] satisfies bigint | undefined;
  (await bigints.joinGroup({ groupID: 'live' })).data.counters satisfies Record<string, bigint>;
  for await (const { value } of numbers.watch('live', { signal })) value satisfies number;
  useGroupCounters(numbers, 'live').counters?.['like'] satisfies number | undefined;
  GroupCounter.chat = numbers;
  const chats: Chat[] = [numbers, bigints, either];
  void chats;
  // The class that Node 20 lacks.
  create({ SDKAppID: 1, url: 'ws://127.0.0.1:8080/ws', env: { WebSocket } });
  create({ SDKAppID: 1, url: 'ws://127.0.0.1:8080/ws', env: { WebSocket: globalThis.WebSocket } });
}

export function refused(): void {
  // @ts-expect-error a value must be an integer type
  void chat.increaseGroupCounter({ groupID: 'live', key: 'like', value: '1' });
  // @ts-expect-error the key is missing
  void chat.increaseGroupCounter({ groupID: 'live', value: 1 });
  // @ts-expect-error what is held is not to be written to
  chat.counters('live')!['like'] = 1;
  // @ts-expect-error there is no such way to see integers
  create({ SDKAppID: 1, integers: 'string' });
  // @ts-expect-error that is no class of sockets
  create({ SDKAppID: 1, env: { WebSocket: EventTarget } });
  // @ts-expect-error the app's number is needed
  create({});
}

export async function settled({ write, cause }: ChatError): Promise<Integer | unknown> {
  if (!write) return cause;
  if (write.cmd === 'setGroupCounters') return (await chat.setGroupCounters(write)).data.counters['like'];
  return (await chat[write.cmd](write)).data.value;
}
