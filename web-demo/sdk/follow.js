// A group as a view wants it: joined while its chat is logged in, and a state that changes only when something has changed.

import { EVENT } from './names.js';

// Many views of one group join it once.
const joining = new WeakMap();

function join(chat, groupID) {
  if (!joining.has(chat)) joining.set(chat, new Map());
  const groups = joining.get(chat);
  if (!groups.has(groupID)) groups.set(groupID, chat.joinGroup({ groupID }).finally(() => groups.delete(groupID)));
  return groups.get(groupID);
}

/** `state()` is `{ counters, error }`; `subscribe(changed)` starts to follow and returns what ends it. */
export function follow(chat, groupID) {
  let state = {};
  return {
    state: () => state,
    subscribe(changed) {
      const update = (error) => {
        const counters = chat.counters(groupID);
        if (counters === state.counters && error === state.error) return;
        state = error ? { counters, error } : { counters };
        changed();
      };
      const heard = ({ data }) => data.groupID === groupID && update();
      const begin = () => join(chat, groupID).then(() => update(), update);
      const events = [[EVENT.GROUP_COUNTER_UPDATED, heard], [EVENT.GROUP_DISMISSED, heard], [EVENT.GROUP_MEMBERSHIP_CHANGED, heard],
        [EVENT.GROUP_UNSUBSCRIBED, heard],
        [EVENT.SDK_READY, begin], [EVENT.SDK_NOT_READY, () => update()]];
      for (const [name, handler] of events) chat.on(name, handler);
      if (chat.counters(groupID)) update();
      else if (chat.isReady()) begin();
      return () => events.forEach(([name, handler]) => chat.off(name, handler));
    },
  };
}
