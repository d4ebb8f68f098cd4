// Who is looking: a name in the address or one kept for this tab, and a fresh signature whenever one is needed. A signature is
// handed on and never kept, shown or put into an address.

const SESSION_MS_MAX = 10_000;
const KEPT = 'tallycast.viewer';
const NAME = /^[0-9A-Za-z_.-]{1,32}$/;

/** The viewer's name: that of the address first. Another tab is another viewer, a reload the same. */
export function viewerName(address) {
  const given = new URL(address).searchParams.get('user');
  if (given && NAME.test(given)) return given;
  const kept = sessionStorage.getItem(KEPT);
  if (kept && NAME.test(kept)) return kept;
  // `crypto.randomUUID` is not there on plain http.
  const made = `viewer-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36).padStart(7, '0').slice(-5)}`;
  sessionStorage.setItem(KEPT, made);
  return made;
}

/** What the demo says of a viewer: `{ sdkAppID, userID, userSig, groups }`. Throws in words for people. */
export async function session(userID, isCut = () => false) {
  let answer;
  try {
    if (isCut()) throw new Error('cut');
    answer = await fetch(`/demo/session?userID=${encodeURIComponent(userID)}`, { cache: 'no-store', signal: AbortSignal.timeout(SESSION_MS_MAX) });
  } catch {
    throw new Error('The server cannot be reached.');
  }
  if (!answer.ok) throw new Error(`The server gave no session (HTTP ${answer.status}).`);
  return answer.json();
}
