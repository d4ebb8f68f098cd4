// The SDK of Tallycast: the calls and events that the vendor's Web SDK has for group counters, on a connection that comes back
// by itself. `index.d.ts` says what each does.

import { makeChat } from './chat.js';
import { socketURL } from './env.js';
import { ChatError, EVENT, TYPES, WRONG_FIELD } from './names.js';

const living = new Map();

export function create(options = {}) {
  const url = socketURL(options);
  const name = options.apart ? Symbol() : `${options.SDKAppID} ${url}`;
  const held = living.get(name) ?? { integers: options.integers ?? 'auto', timeout: 10_000 };
  const { integers = held.integers, timeout = held.timeout, getUserSig = held.getUserSig } = options;
  if (integers !== held.integers) throw new ChatError(WRONG_FIELD, `integers is ${held.integers} here: make a chat apart.`);
  // A view that is drawn again has a newer function, which knows newer things.
  living.set(name, Object.assign(held, { timeout, getUserSig }));
  return (held.chat ??= makeChat(held, options.env, url, () => living.delete(name)));
}

export { ChatError, EVENT, TYPES };
export default { create, EVENT, TYPES };
