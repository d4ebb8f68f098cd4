// The host's panel: a second user in this page, who owns the rooms and may set their counters. He is logged in only while the
// panel is open.

import { create } from '../sdk/index.js';
import { digits, THINGS } from './things.js';
import { session } from './viewer.js';

const HOST = 'host';

const byID = (id) => document.getElementById(id);

/** `room()` gives the group on the stage, or null; `viewer` is the name of the one who looks; `onAdmitted()` when he was let in. */
export function makeHost({ room, viewer, onAdmitted }) {
  let chat = null;

  function told(text, kind = '') {
    byID('host-told').textContent = text;
    byID('host-told').dataset.kind = kind;
  }

  function turnTo() {
    byID('host-admit').hidden = room()?.type !== 'Private';
    told('');
  }

  async function open() {
    turnTo();
    if (chat) return;
    try {
      const { sdkAppID, userSig } = await session(HOST);
      const mine = create({ SDKAppID: sdkAppID, apart: true, integers: 'bigint', getUserSig: async () => (await session(HOST)).userSig });
      chat = mine;
      await mine.login({ userID: HOST, userSig });
      byID('host-state').textContent = 'Logged in as host, who owns every room of this demo.';
    } catch (fault) {
      close();
      told(`The host could not log in: ${fault.message}`, 'bad');
    }
  }

  function close() {
    chat?.destroy();
    chat = null;
    byID('host-state').textContent = 'The host owns every room of this demo.';
  }

  async function does(call, words) {
    if (!chat || !room()) return told('Not logged in: close this panel and open it again.', 'bad');
    try {
      told('…');
      const { groupID } = room();
      // In a live room even its owner counts nothing before he is in it.
      if (room().type === 'AVChatRoom') await chat.joinGroup({ groupID });
      await call(groupID);
      told(words);
    } catch (fault) {
      told(`${fault.message} (${fault.code})`, 'bad');
    }
  }

  byID('host-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const [key, value] = [byID('host-key').value, BigInt(byID('host-value').value)];
    does((groupID) => chat.setGroupCounters({ groupID, counters: { [key]: value } }), `${key} is ${digits(value)} now.`);
  });
  byID('host-reset').addEventListener('click', () => {
    const counters = Object.fromEntries(THINGS.map(({ key }) => [key, 0]));
    does((groupID) => chat.setGroupCounters({ groupID, counters }), 'All back to 0.');
  });
  byID('host-admit').addEventListener('click', () => {
    does(async (groupID) => {
      await chat.addGroupMember({ groupID, userIDList: [viewer] });
      onAdmitted();
    }, `${viewer} is a member now.`);
  });

  return { open, close, turnTo };
}
