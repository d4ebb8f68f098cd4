// The switch of the hot room: asks the demo for simulated viewers, and says how many are there.

const STEPS = [10, 30, 100, 300, 600, 1_000];
const LOOK_EVERY_MS = 3_000;
const CALL_MS_MAX = 10_000;

const byID = (id) => document.getElementById(id);

async function call(body) {
  const options = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch('/demo/hot', { ...options, cache: 'no-store', signal: AbortSignal.timeout(CALL_MS_MAX) });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.message);
  return told;
}

/** `room()` gives the group that is on the stage, or null. */
export function makeHot(room) {
  const wanted = () => STEPS[Number(byID('hot-viewers').value)];

  function slid() {
    byID('hot-count').textContent = wanted().toLocaleString('en-US');
    byID('hot-viewers').setAttribute('aria-valuetext', `${wanted()} viewers`);
  }

  function show({ groupID, viewers, secondsLeft }) {
    byID('hot-stop').disabled = viewers === 0;
    const minutes = Math.max(1, Math.ceil(secondsLeft / 60));
    byID('hot-told').textContent = viewers === 0 ? '' : `${viewers.toLocaleString('en-US')} in ${groupID}, for ${minutes} min at most.`;
  }

  async function fill(viewers) {
    try {
      show(await call({ groupID: room().groupID, viewers }));
    } catch (fault) {
      byID('hot-told').textContent = `That did not work: ${fault.message}.`;
    }
  }

  byID('hot-viewers').addEventListener('input', slid);
  byID('hot-start').addEventListener('click', () => room() && fill(wanted()));
  byID('hot-stop').addEventListener('click', () => room() && fill(0));
  // An outage is shown beside the connection already, so a look that fails says nothing.
  setInterval(() => byID('hot-stop').disabled || call().then(show, () => {}), LOOK_EVERY_MS);
}
