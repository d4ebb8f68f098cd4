// The SDK of Tallycast: the calls and events that the vendor's Web SDK has for group counters, on a connection that comes back
// by itself. `index.d.ts` says what each does.

import { Chat } from './chat.js';
import { socketURL } from './env.js';
import { ChatError, EVENT, TYPES } from './names.js';

const living = new Map();

export function create(options) {
  const name = `${options.SDKAppID} ${socketURL(options.url ?? options.proxyServer)}`;
  const known = living.get(name);
  if (known && !known.isDestroyed) return known;
  const chat = new Chat(options);
  living.set(name, chat);
  return chat;
}

export { Chat, ChatError, EVENT, TYPES };
export default { create, EVENT, TYPES };
