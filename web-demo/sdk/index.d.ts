// The whole surface of the SDK. What this file promises is checked by `tests/browser/sdk`: against the code, and against the
// declarations of npm `@tencentcloud/chat`.

/** A signed 64-bit integer: a number while that is exact, else a bigint (see `CreateOptions.integers`). */
export type Integer = number | bigint;

/** How counters are given to an app, and the type that comes of it. */
export type Integers = 'auto' | 'bigint' | 'number';
export type IntegerAs<K extends Integers> = K extends 'bigint' ? bigint : K extends 'number' ? number : Integer;

export interface CreateOptions<K extends Integers = Integers> {
  /** The app's number. It is part of each UserSig; here it only says which instance `create` gives back. */
  SDKAppID: number;
  /**
   * Where the gateway listens: `wss://host/ws`, or a path of this page's own host; `/ws` unless given. Where there is no page,
   * as in Node, it must be absolute (10004).
   */
  url?: string;
  /** The vendor's name for the same. */
  proxyServer?: string;
  /**
   * Gives a fresh UserSig. Asked before each new connection and before the one in use runs out, by the life that the sig
   * itself names, whatever this machine's clock says; where one has run out all the same (a tab was frozen), the connection
   * comes back with a new one. Without it the sig of `login` is used again, and the session ends with it.
   */
  getUserSig?: (userID: string) => string | Promise<string>;
  /**
   * How counters are given to you. `auto`: a number up to 2^53 − 1, a bigint beyond. `bigint`: always. `number`: always; a
   * value that a number cannot hold is then `Infinity` or `-Infinity`, never a rounded number and never the value before it,
   * and the first one is told as an `ERROR` (code -1, with all digits).
   */
  integers?: K;
  /** Milliseconds until a login, or a request without an answer is rejected with code 2801; 10,000 unless given. Writes have 60,000. */
  timeout?: number;
  /** True: a chat of its own. Else `create` gives back the one that lives for this app and address. */
  apart?: boolean;
  /**
   * What the SDK takes from the world outside, to be replaced in tests or where the world lacks it: Node has a `WebSocket` of
   * its own from version 22 on, and takes that of npm `ws` before. The first `create` of a chat counts.
   */
  env?: Partial<Env>;
}

/** What the SDK uses of a WebSocket. */
export interface SocketLike {
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface Env {
  /** The class of the sockets: the browser's own unless given. */
  WebSocket: new (url: string) => SocketLike;
  setTimeout: (call: () => void, ms: number) => unknown;
  clearTimeout: (timer: any) => void;
  /** Milliseconds of a clock that goes on while the machine sleeps and never goes back. */
  now: () => number;
  /** A number from 0 up to 1. */
  random: () => number;
  /** Tells `online` and `offline`. */
  window: Pick<EventTarget, 'addEventListener' | 'removeEventListener'>;
  /** Tells `visibilitychange`. */
  document: Pick<EventTarget, 'addEventListener' | 'removeEventListener'> & { visibilityState?: string };
}

export interface Result<T> {
  code: 0;
  data: T;
}

/**
 * Every rejection but that of an aborted signal. Codes are the gateway's (docs/protocol.md), and
 * 2801 no answer in time, or ended before it came · 2999 not logged in, or destroyed · -1 a value does not fit a number (`integers: 'number'`;
 * an `ERROR` event only). 10004 is also said before anything is sent, and 10006 where more than 256 requests wait.
 */
export class ChatError extends Error {
  readonly name: 'ChatError';
  readonly code: number;
  /** Milliseconds after which trying again makes sense, where the server said so. */
  readonly retryAfter?: number;
  /**
   * The write, where it was sent and nobody knows whether it has counted: no answer came in time, or `logout`, `destroy` or
   * a kick came first. `chat[write.cmd](write)` within two minutes gives its first answer and counts it once; calling anew
   * without its `opID` may count twice. Taps that were sent together share one.
   */
  readonly write?: UnsettledWrite;
  /** What was in the way, where something else has failed: what `getUserSig` threw, the socket's own error. */
  readonly cause?: unknown;
}

export type UnsettledWrite =
  | { cmd: 'setGroupCounters'; groupID: string; counters: Counters; opID: string }
  | { cmd: 'increaseGroupCounter' | 'decreaseGroupCounter'; groupID: string; key: string; value: Integer; opID: string };

/** Stops waiting. What has not been sent is never sent; what has been sent may still count. */
export interface Abortable {
  signal?: AbortSignal;
}

export interface Group {
  groupID: string;
  type: string;
  name: string;
  ownerID: string;
  joinOption: string;
  /** Unix seconds. */
  createTime: number;
  memberCount: number;
}

export type Counters<I extends Integer = Integer> = Record<string, I>;

export interface Snapshot<I extends Integer = Integer> {
  counters: Counters<I>;
  /** The group's count of applied writes. */
  version: Integer;
  /** Changes only where continuity is lost. */
  epoch: string;
}

export interface CounterValue<I extends Integer = Integer> {
  groupID: string;
  key: string;
  /** The new value. */
  value: I;
}

/** What an increase or decrease came to. Of a write that was sent again it is the first answer, which may be old news by now. */
export interface CounterWritten<I extends Integer = Integer> extends CounterValue<I> {
  version: Integer;
  /** The write had been applied before, and this is its first answer. */
  replayed?: true;
}

export interface CounterChange<I extends Integer = Integer> extends CounterValue<I> {
  version: Integer;
  /** The counter is gone; `value` is 0. */
  deleted?: true;
}

export interface MembersChanged {
  groupID: string;
  successUserIDList: string[];
  existedUserIDList: string[];
  failureUserIDList: string[];
}

export interface NetState {
  state: 'connected' | 'connecting' | 'disconnected';
  /** Why the connection ended, where it has: a close code, and words for people. */
  code?: number;
  message?: string;
  /** Milliseconds until the next attempt; absent where there will be none. */
  retryIn?: number;
}

export interface ChatEvent<T> {
  name: string;
  data: T;
}

export interface ChatEvents<I extends Integer = Integer> {
  /** Logged in, all groups joined again: calls go out at once. */
  sdkStateReady: undefined;
  /** Logged out, kicked out or refused: nothing happens until the next `login`. */
  sdkStateNotReady: undefined;
  netStateChange: NetState;
  /** `userSigExpired` only without `getUserSig`. */
  kickedOut: { type: 'multipleAccount' | 'userSigExpired' | 'REST_API_Kick' };
  /** What no call was there to be told: a sig that could not be had, a value that does not fit. */
  error: ChatError | Error;
  /** A counter has a value that is newer than any told before. Never an older one, and none twice. */
  onGroupCounterUpdated: CounterValue<I>;
  onGroupDismissed: { groupID: string };
  /** Also where a group did not take this user back after a reconnect. */
  onGroupMembershipChanged: { groupID: string; status: 'added' | 'removed' };
  /** This connection follows as many groups as it may; `joinGroup` brings the group back. */
  onGroupUnsubscribed: { groupID: string };
}

/** One user on one connection that comes back by itself. */
export interface Chat<I extends Integer = Integer> {
  /**
   * Connects and logs in; without a sig, `getUserSig` is asked for one. Resolves when the gateway has let the user in; rejects
   * where it has not within `timeout` (2801: `message` and `cause` say what was in the way) or will not. From then on the
   * connection comes back by itself, until `logout`, `destroy` or a close that forbids it.
   */
  login(options: { userID: string; userSig?: string }): Promise<Result<{
    userID: string;
    /** Unix seconds. */
    expiresAt: number;
    admin: boolean;
    /** The same user was logged in here already. */
    repeatLogin?: true;
    errorInfo?: string;
  }>>;
  /** Ends the connection. What waits is rejected: with 2999, or with 2801 where a write was sent and may have counted. */
  logout(): Promise<void>;
  /** Ends everything; every later call rejects with 2999. */
  destroy(): Promise<void>;
  /** True from SDK_READY to SDK_NOT_READY: calls are taken, and wait while the connection is away. */
  isReady(): boolean;

  /** The user who is logged in, or an empty text. */
  getLoginUser(): string;
  /** 0 to 4, as the vendor's: above 2 nothing is said on the console. There are only warnings: events that do not exist, plugins. */
  setLogLevel(level: number): void;
  /** Takes the vendor's plugins and ignores them, with a warning: there are no files here to upload. */
  registerPlugin(plugins?: object): void;

  /** The same handler with the same context is called once, however often it is given. */
  on<E extends keyof ChatEvents>(eventName: E, handler: (event: ChatEvent<ChatEvents<I>[E]>) => void, context?: any, once?: boolean): void;
  on(eventName: string, handler: Function, context?: any, once?: boolean): void;
  off(eventName: string, handler: Function, context?: any): void;

  /** `type` and `joinOption` are values of `TYPES`: texts, though the vendor's enum has numbers in it, too. */
  createGroup(options: { type: string | number; name: string; groupID?: string; joinOption?: string | number } & Abortable): Promise<Result<{ group: Group }>>;
  dismissGroup(groupID: string, options?: Abortable): Promise<Result<{ groupID: string }>>;
  /** Joins, and joins again with each new connection. The counters in the answer are those of this moment. */
  joinGroup(options: { groupID: string } & Abortable): Promise<Result<{ status: string; group: Group } & Snapshot<I>>>;
  /** A group that this chat has joined or made, as it is now; 10007 for any other, and nothing is joined. */
  getGroupProfile(options: { groupID: string } & Abortable): Promise<Result<{ group: Group }>>;
  quitGroup(groupID: string, options?: Abortable): Promise<Result<{ groupID: string }>>;
  addGroupMember(options: { groupID: string; userIDList: string[] } & Abortable): Promise<Result<MembersChanged>>;
  deleteGroupMember(options: { groupID: string; userIDList: string[] } & Abortable): Promise<Result<MembersChanged>>;
  getGroupOnlineMemberCount(groupID: string, options?: Abortable): Promise<Result<{ groupID: string; memberCount: number }>>;

  /**
   * All keys or none. Each write carries an operation id, is sent again until it is answered or 60 s old, and counts once.
   * `opID` (1 to 64 printable ASCII characters) is made up unless given.
   */
  setGroupCounters(options: { groupID: string; counters: Counters; opID?: string } & Abortable): Promise<Result<{ groupID: string; counters: Counters<I>; version: Integer; replayed?: true }>>;
  increaseGroupCounter(options: { groupID: string; key: string; value: Integer; opID?: string } & Abortable): Promise<Result<CounterWritten<I>>>;
  decreaseGroupCounter(options: { groupID: string; key: string; value: Integer; opID?: string } & Abortable): Promise<Result<CounterWritten<I>>>;
  getGroupCounters(options: { groupID: string; keyList?: string[] } & Abortable): Promise<Result<{ groupID: string } & Snapshot<I>>>;

  /**
   * For the finger on a button: adds `value` (1 unless given) to the counter. Taps are folded into few increases and never
   * answered with 2996; they wait at most 60 s. Resolves with the increase that brought this tap, rejects where it failed.
   */
  tap(options: { groupID: string; key: string; value?: Integer } & Abortable): Promise<Result<CounterWritten<I>>>;
  /** The counters of a group as last told, or undefined before that. The same object until one changes: do not write to it. */
  counters(groupID: string): Readonly<Counters<I>> | undefined;
  /**
   * The counters held, then each newer value as it comes; whoever takes slowly gets the newest of each key. Ends with the
   * signal, the group, `logout`, `destroy` or a `break`. Joins nothing.
   */
  watch(groupID: string, options?: Abortable): AsyncGenerator<CounterChange<I>, void, void>;
  /** A round trip to the gateway. */
  ping(options?: Abortable): Promise<Result<{}>>;
  /** Ends a pause between two attempts at once: for a button. */
  reconnect(): void;
}

export const EVENT: {
  readonly SDK_READY: 'sdkStateReady';
  readonly SDK_NOT_READY: 'sdkStateNotReady';
  readonly KICKED_OUT: 'kickedOut';
  readonly ERROR: 'error';
  readonly NET_STATE_CHANGE: 'netStateChange';
  readonly GROUP_COUNTER_UPDATED: 'onGroupCounterUpdated';
  /** Not the vendor's. */
  readonly GROUP_DISMISSED: 'onGroupDismissed';
  /** Not the vendor's: somebody else, or this user on another connection, changed their membership. */
  readonly GROUP_MEMBERSHIP_CHANGED: 'onGroupMembershipChanged';
  /** Not the vendor's: the user is a member, but the group's counters are not kept up to date any more. */
  readonly GROUP_UNSUBSCRIBED: 'onGroupUnsubscribed';
};

export const TYPES: {
  readonly GRP_WORK: 'Private';
  readonly GRP_PUBLIC: 'Public';
  readonly GRP_MEETING: 'ChatRoom';
  readonly GRP_AVCHATROOM: 'AVChatRoom';
  readonly JOIN_OPTIONS_FREE_ACCESS: 'FreeAccess';
  readonly JOIN_OPTIONS_NEED_PERMISSION: 'NeedPermission';
  readonly JOIN_OPTIONS_DISABLE_APPLY: 'DisableApply';
  readonly JOIN_STATUS_SUCCESS: 'JoinedSuccess';
  readonly JOIN_STATUS_ALREADY_IN_GROUP: 'AlreadyInGroup';
  readonly KICKED_OUT_MULT_ACCOUNT: 'multipleAccount';
  readonly KICKED_OUT_USERSIG_EXPIRED: 'userSigExpired';
  readonly KICKED_OUT_REST_API: 'REST_API_Kick';
  readonly NET_STATE_CONNECTED: 'connected';
  readonly NET_STATE_CONNECTING: 'connecting';
  readonly NET_STATE_DISCONNECTED: 'disconnected';
};

/**
 * The chat that lives for this app and address, made where there is none; destroy it to be rid of it. Of a living one the
 * newest `getUserSig` and `timeout` count; other `integers` than it has are refused (10004), because whoever has it counts on them.
 */
export function create<K extends Integers = 'auto'>(options: CreateOptions<K>): Chat<IntegerAs<K>>;

declare const TencentCloudChat: { create: typeof create; EVENT: typeof EVENT; TYPES: typeof TYPES };
export default TencentCloudChat;
