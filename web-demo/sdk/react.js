// The counters of a group in a React component. Never leaves a group: another component may still show it.

import { useMemo, useSyncExternalStore } from 'react';
import { follow } from './follow.js';

const NOTHING = {};
const nowhere = { state: () => NOTHING, subscribe: () => () => {} };

export function useGroupCounters(chat, groupID) {
  const { subscribe, state } = useMemo(() => (chat ? follow(chat, groupID) : nowhere), [chat, groupID]);
  return useSyncExternalStore(subscribe, state, state);
}
