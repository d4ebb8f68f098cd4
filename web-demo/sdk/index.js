// The SDK of Tallycast: the calls and events that the vendor's Web SDK has for group counters, on a connection that comes back
// by itself. `index.d.ts` says what each does.

import { makeChat } from './chat.js';
import { socketURL } from './env.js';
import { ChatError, EVENT, TYPES } from './names.js';

const living = new Map();

export function create(options) {
  const name = options.apart ? Symbol() : `${options.SDKAppID} ${socketURL(options)}`;
  const chat = living.get(name) ?? makeChat(options, () => living.delete(name));
  living.set(name, chat);
  return chat;
}

export { ChatError, EVENT, TYPES };
export default { create, EVENT, TYPES };
