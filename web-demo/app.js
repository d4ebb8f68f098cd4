// The demo page: puts the connection, the rooms and the view together.

import { Panel } from './panel.js';
import { Room } from './room.js';
import { Socket } from './socket.js';
import { View } from './view.js';

const SESSION_MS_MAX = 10_000;
const REFUSED = {
  6014: 'The login is gone. Reload the page.',
  10004: 'The server does not take this value: the result would not fit into 64 bits, or a field is wrong.',
  10007: 'You are not a member of this room, so nothing was counted.',
  10010: 'This room does not exist any more.',
  10063: 'This room has no place for another counter: 20 is the limit.',
};

const userID = viewerID();
const rooms = new Map();
const wanted = new Set();
let groups = [];
let current = null;

const panel = new Panel({ onTryNow: () => socket.tryNow() });
const view = new View({ onChoose: choose, onWrite: write });
const socket = new Socket({
  url: new URL('/ws', location.href.replace(/^http/, 'ws')),
  credentials,
  on: {
    state: (name, detail) => {
      panel.state(name, detail);
      refresh();
    },
    ready: () => Promise.all([...wanted].map(join)),
    event,
    frame: (direction, text) => panel.frame(direction, text),
    ack: (ms) => panel.ack(ms),
    roundTrip: (ms) => panel.roundTrip(ms),
    slow: (ms, { code }) => view.slowDown(ms, code === 2996 ? 'Slow down' : 'The server cannot write just now'),
  },
});

view.viewer(userID);
addEventListener('online', () => socket.tryNow());
socket.start();

// Only the name is kept, so that a reload is the same viewer and a second tab another one.
function viewerID() {
  const kept = sessionStorage.getItem('tallycast.viewer');
  if (kept !== null && /^viewer-[0-9a-z]{4,12}$/.test(kept)) return kept;
  const made = `viewer-${crypto.randomUUID().slice(0, 6)}`;
  sessionStorage.setItem('tallycast.viewer', made);
  return made;
}

// A fresh signature for each connection: none is kept, and none can run out while the page waits.
async function credentials() {
  let answer;
  try {
    const signal = AbortSignal.timeout(SESSION_MS_MAX);
    answer = await fetch(`/demo/session?userID=${encodeURIComponent(userID)}`, { cache: 'no-store', signal });
  } catch {
    throw new Error('The server cannot be reached.');
  }
  if (!answer.ok) throw new Error(`The server gave no session (HTTP ${answer.status}).`);
  const session = await answer.json();
  groups = session.groups;
  view.rooms(groups);
  const there = groups.find(({ groupID }) => groupID === current?.groupID);
  const first = there ?? groups.find(({ type }) => type === 'AVChatRoom') ?? groups[0];
  if (first && first !== current) show(first);
  return { userID: session.userID, userSig: session.userSig };
}

function choose(groupID) {
  show(groups.find((group) => group.groupID === groupID));
  if (socket.ready) join(groupID);
}

function show(group) {
  if (!rooms.has(group.groupID)) rooms.set(group.groupID, new Room());
  if (current?.groupID !== group.groupID) current = group;
  wanted.add(group.groupID);
  view.turnTo(group);
  refresh();
}

async function join(groupID) {
  const answer = await socket.request({ cmd: 'joinGroup', groupID });
  if (answer.code === -2) return;
  if (answer.code === 0) {
    rooms.get(groupID).snapshot(answer.data);
  } else {
    leave(groupID);
    if (groupID === current.groupID) view.notice(whyNot(answer), 'bad');
  }
  if (groupID === current.groupID) refresh();
}

function whyNot({ code, message }) {
  if (code === 10010) return `This room does not exist any more (${code}).`;
  if (code !== 10007) return `The room did not let you in: ${message} (${code}).`;
  return current.type === 'Private'
    ? `This room is private: only members get in, and nobody has added ${userID} yet (10007).`
    : `This room does not let viewers join by themselves: somebody has to add ${userID} (10007).`;
}

function leave(groupID) {
  wanted.delete(groupID);
  rooms.set(groupID, new Room());
}

async function write({ cmd, key, value }) {
  if (!mayWrite()) return;
  const { name } = current;
  const outcome = socket.write({ cmd, groupID: current.groupID, key, value });
  refresh();
  if (!socket.ready) view.notice('Kept: your clicks go out when the connection is back.', 'kept');
  const { code, message, sent } = await outcome;
  refresh();
  if (code === 0) {
    view.settle('kept');
    return panel.confirmed();
  }
  if (code !== -1) return view.notice(`${name}: ${REFUSED[code] ?? message} (${code})`, 'bad');
  view.notice(sent
    ? `${name}: one click found no answer in 60 s. It may have counted or not.`
    : `${name}: one click could not be sent in 60 s and was dropped. It has not counted.`, 'bad');
}

// Clicks are taken while the connection is away, too: they wait, up to a limit, and go out when it is back.
function mayWrite() {
  return Boolean(current) && rooms.get(current.groupID).known && !socket.writesFull;
}

function refresh() {
  if (!current) return;
  const room = rooms.get(current.groupID);
  const waiting = socket.ready ? 'Nothing has been counted here yet. Be the first.' : 'The counters appear once the connection is up.';
  view.counters(room, room.known || !socket.ready ? waiting : '');
  view.allow(mayWrite());
  panel.waiting(socket.writesWaiting);
}

function event(name, data) {
  const { groupID } = data;
  const room = rooms.get(groupID);
  const here = groupID === current?.groupID;
  if (name === 'GROUP_COUNTER_UPDATED') {
    panel.pushed();
    if (room?.push(data) && here) refresh();
  } else if (name === 'GROUP_RESYNC') {
    if (room?.known) room.resync(data);
    if (here) refresh();
  } else if (name === 'GROUP_DISMISSED' || (name === 'GROUP_MEMBERSHIP_CHANGED' && data.status === 'removed')) {
    leave(groupID);
    if (here) view.notice(name === 'GROUP_DISMISSED' ? 'This room has been closed.' : 'You have been removed from this room.', 'bad');
    if (here) refresh();
  } else if (name === 'GROUP_MEMBERSHIP_CHANGED' && here) {
    wanted.add(groupID);
    view.notice('You have been added to this room.');
    join(groupID);
  }
}
