import type { Chat, ChatError, Counters, Integer } from './index.js';

/**
 * The counters of a group in a React component (18 or newer). Joins the group while `chat` is logged in; the group is not
 * left when the component goes. `counters` is undefined until they are known, `error` says why a join was refused.
 */
export function useGroupCounters<I extends Integer = Integer>(chat: Chat<I> | null | undefined, groupID: string): { counters?: Readonly<Counters<I>>; error?: ChatError };
