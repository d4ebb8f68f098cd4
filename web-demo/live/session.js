// This viewer's chat with the gateway, from the first login on: it is tried until it works, and stops only where the server
// refuses. It knows nothing of rooms.

import { create, EVENT } from '../sdk/index.js';
import { session } from './viewer.js';

const AGAIN_MS = 2_000;
const MAY_COME_BACK = 2801;

/**
 * `on`: `groups(list)`, `state(name, { why, retryIn })`, `lost()`, and `counter`, `dismissed`,
 * `membership` with the data of the SDK's events. `line` gives the sockets.
 */
export function makeSession({ userID, line, on }) {
  let chat = null;
  let again = null;
  let refusal = '';

  const ask = () => session(userID, () => line.isCut);

  async function start() {
    clearTimeout(again);
    on.state('connecting');
    refusal = '';
    try {
      const { sdkAppID, userSig, groups } = await ask();
      on.groups(groups);
      chat ??= makeChat(sdkAppID);
      await chat.login({ userID, userSig });
    } catch (fault) {
      const final = fault.code !== undefined && fault.code !== MAY_COME_BACK;
      if (final) return stopped(fault);
      on.state('waiting', { why: fault.message, retryIn: AGAIN_MS });
      again = setTimeout(start, AGAIN_MS);
    }
  }

  function stopped(fault) {
    refusal = `The login was refused: ${fault.message} (${fault.code}). Not coming back by itself.`;
    on.state('stopped', { why: refusal });
  }

  function makeChat(SDKAppID) {
    const made = create({ SDKAppID, apart: true, integers: 'bigint', getUserSig: async () => (await ask()).userSig, env: { WebSocket: line.WebSocket } });
    made.on(EVENT.NET_STATE_CHANGE, ({ data }) => net(data));
    made.on(EVENT.GROUP_COUNTER_UPDATED, ({ data }) => on.counter(data));
    made.on(EVENT.GROUP_DISMISSED, ({ data }) => on.dismissed(data));
    made.on(EVENT.GROUP_MEMBERSHIP_CHANGED, ({ data }) => on.membership(data));
    return made;
  }

  function net({ state, message, retryIn }) {
    if (state !== 'connected') on.lost();
    if (state === 'disconnected' && retryIn === undefined) on.state('stopped', { why: refusal || message });
    else on.state(state === 'disconnected' ? 'waiting' : state, { why: message, retryIn });
  }

  return {
    start,
    /** The SDK's chat, once there is one. */
    get chat() {
      return chat;
    },
    /** Ends a pause, or a stop. */
    tryNow() {
      if (chat?.isReady()) chat.reconnect();
      else start();
    },
  };
}
