// The SDK of Tallycast: the calls and events that the vendor's Web SDK has for group counters, on a connection that comes back
// by itself. `index.d.ts` says what each does.

import { makeChat } from './chat.js';
import { socketURL } from './env.js';
import { ChatError, EVENT, TYPES, WRONG_FIELD } from './names.js';

const living = new Map();

export function create(options = {}) {
  const url = socketURL(options);
  const name = options.apart ? Symbol() : `${options.SDKAppID} ${url}`;
  const { held, chat } = living.get(name) ?? made(options, url, name);
  const { integers = held.integers, timeout = held.timeout, getUserSig = held.getUserSig } = options;
  if (integers !== held.integers) throw new ChatError(WRONG_FIELD, `integers is ${held.integers} in the chat that lives: destroy() it, or make one apart.`);
  // A view that is drawn again has a newer function, which knows newer things.
  Object.assign(held, { timeout, getUserSig });
  return chat;
}

function made({ integers = 'auto', env }, url, name) {
  const held = { integers, timeout: 10_000 };
  const both = { held, chat: makeChat(held, env, url, () => living.delete(name)) };
  living.set(name, both);
  return both;
}

export { ChatError, EVENT, TYPES };
export default { create, EVENT, TYPES };
