// A React app as a beginner writes it, in StrictMode: every effect runs, is cleaned up and runs again.

import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { create } from 'tallycast';
import { useGroupCounters } from 'tallycast/react';

function Likes({ chat, groupID }) {
  const { counters, error } = useGroupCounters(chat, groupID);
  return <output>{error ? error.code : String(counters?.like ?? 'unknown')}</output>;
}

function App({ groupID, userID, userSig, SDKAppID, broken }) {
  const [chat, setChat] = useState(null);
  useEffect(() => {
    const made = create({ SDKAppID });
    made.login({ userID, userSig }).catch(() => {});
    setChat(made);
    return () => made.destroy();
  }, [SDKAppID, userID, userSig]);
  return (
    <>
      <Likes chat={chat} groupID={groupID} />
      <Likes chat={chat} groupID={broken} />
      <button onClick={() => chat.tap({ groupID, key: 'like' })}>like</button>
    </>
  );
}

export function mount(options) {
  const root = createRoot(document.body);
  root.render(<StrictMode><App {...options} /></StrictMode>);
  return root;
}
