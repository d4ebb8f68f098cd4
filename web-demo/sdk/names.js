// The words that an app and this SDK share: events, values, and what an error looks like. The vendor's, unless said otherwise.

export const EVENT = {
  SDK_READY: 'sdkStateReady',
  SDK_NOT_READY: 'sdkStateNotReady',
  KICKED_OUT: 'kickedOut',
  ERROR: 'error',
  NET_STATE_CHANGE: 'netStateChange',
  GROUP_COUNTER_UPDATED: 'onGroupCounterUpdated',
  // These three are ours.
  GROUP_DISMISSED: 'onGroupDismissed',
  GROUP_MEMBERSHIP_CHANGED: 'onGroupMembershipChanged',
  GROUP_UNSUBSCRIBED: 'onGroupUnsubscribed',
};

export const TYPES = {
  GRP_WORK: 'Private',
  GRP_PUBLIC: 'Public',
  GRP_MEETING: 'ChatRoom',
  GRP_AVCHATROOM: 'AVChatRoom',
  JOIN_OPTIONS_FREE_ACCESS: 'FreeAccess',
  JOIN_OPTIONS_NEED_PERMISSION: 'NeedPermission',
  JOIN_OPTIONS_DISABLE_APPLY: 'DisableApply',
  JOIN_STATUS_SUCCESS: 'JoinedSuccess',
  JOIN_STATUS_ALREADY_IN_GROUP: 'AlreadyInGroup',
  KICKED_OUT_MULT_ACCOUNT: 'multipleAccount',
  KICKED_OUT_USERSIG_EXPIRED: 'userSigExpired',
  KICKED_OUT_REST_API: 'REST_API_Kick',
  NET_STATE_CONNECTED: 'connected',
  NET_STATE_CONNECTING: 'connecting',
  NET_STATE_DISCONNECTED: 'disconnected',
};

/** What `joined` of a group is where the app itself asked for it; true where the user was added by somebody else. */
export const ASKED = 2;

export const UNFIT = -1;
export const NO_ANSWER = 2801;
export const TOO_OFTEN = 2996;
export const NOT_READY = 2999;
export const DISK_FAILED = 10002;
export const WRONG_FIELD = 10004;
export const NO_ROOM = 10006;
export const NOT_IN_GROUP = 10007;
export const NO_GROUP = 10010;

export class ChatError extends Error {
  /** `more`: `retryAfter`, `cause`, `write`. */
  constructor(code, message, more) {
    super(message, more);
    Object.assign(this, { name: 'ChatError', code }, more);
  }
}

/** The error of what found no answer. `frame` is what was sent; a write is given along, to be asked for its fate. */
export const unanswered = (frame, why = 'No answer.') =>
  new ChatError(NO_ANSWER, frame ? `${why} It may have counted or not.` : 'It was not sent.', { write: frame?.opID && frame });
