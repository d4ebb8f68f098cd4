// The live room of the demo: puts the session, the rooms, the stage and the panels together. What a part knows, it knows alone.

import { makeBeside } from './live/beside.js';
import { Board } from './live/board.js';
import { makeFrames } from './live/frames.js';
import { makeGifts, OWN } from './live/gifts.js';
import { makeHearts } from './live/hearts.js';
import { makeHost } from './live/host.js';
import { makeHot } from './live/hot.js';
import { makeInstruments } from './live/instruments.js';
import { makeLine } from './live/line.js';
import { makeLink } from './live/link.js';
import { makePanels } from './live/panels.js';
import { Room } from './live/room.js';
import { inOrder, kindOf, makeRooms } from './live/rooms.js';
import { makeVoice } from './live/say.js';
import { makeSession } from './live/session.js';
import { makeStage } from './live/stage.js';
import { GIFTS } from './live/things.js';
import { viewerName } from './live/viewer.js';

const WATCHERS_EVERY_MS = 4_000;
const TICK_MS = 200;
const REFUSED = {
  10004: 'The server does not take this: the number would not fit into 64 bits',
  10007: 'You are not a member of this room, so nothing was counted',
  10010: 'This room does not exist any more',
  10063: 'This room has no place for another counter: 20 is the limit',
};

const byID = (id) => document.getElementById(id);
const userID = viewerName(location.href);
const rooms = new Map();
let groups = [];
let current = null;
let state = 'connecting';
let viewers = null;
let confirmed = 0;

const board = new Board({ onTap: tap, onGrowth: grew });
const stage = makeStage(byID('picture'));
const hearts = makeHearts(byID('rising'), (own, key) => board.origin(own, key));
const gifts = makeGifts(byID('lanes'));
const frames = makeFrames(paint);
const voice = makeVoice(byID('notice'), byID('summary'), () => ({ room: current, viewers }));
const list = makeRooms(byID('rooms'), enter);
const instruments = makeInstruments({ look: () => ({ state, waiting: waiting(), confirmed }), ping: () => session.chat?.isReady() && session.chat.ping().catch(() => {}) });
const line = makeLine({ frame: instruments.frame });
const link = makeLink(() => session.tryNow());
const session = makeSession({ userID, line, on: { groups: know, state: turn, lost, counter, dismissed, membership } });
const onStage = () => current?.group ?? null;
const host = makeHost({ room: onStage, viewer: userID, onAdmitted: join });
const beside = makeBeside(byID('phone'), userID);

makeHot(onStage);
makePanels({ beside: { open: () => current && beside.open(current.group.groupID), close: beside.close }, host, instruments: { open() {}, close() {} } });
byID('me').textContent = userID;
document.body.toggleAttribute('data-alone', new URL(location.href).searchParams.has('alone'));
byID('cut').addEventListener('click', () => {
  line.cut(!line.isCut);
  byID('cut').setAttribute('aria-checked', String(line.isCut));
  if (!line.isCut) session.tryNow();
});
setInterval(watch, WATCHERS_EVERY_MS);
setInterval(tick, TICK_MS);
session.start();
frames.wake();

function know(told) {
  groups = inOrder(told);
  list.show(groups);
  const asked = current?.group.groupID ?? new URL(location.href).searchParams.get('room');
  const first = groups.find(({ groupID }) => groupID === asked) ?? groups[0];
  if (!current && first) show(first);
  list.mark(current?.group.groupID);
}

function turn(name, detail) {
  state = name;
  link.show(name, detail);
  if (name === 'stopped') for (const room of rooms.values()) room.leave();
  if (name === 'connected' && current && !current.known) join();
  allow();
}

function lost() {
  for (const room of rooms.values()) room.lose();
  instruments.lose();
}

function enter(groupID) {
  const before = current;
  if (before?.group.groupID === groupID) return;
  // A live room is left for good when another one is entered; of the others one stays a member.
  if (before?.known && before.group.type === 'AVChatRoom') {
    before.leave();
    session.chat.quitGroup(before.group.groupID).catch(() => {});
  }
  show(groups.find((group) => group.groupID === groupID));
  if (state === 'connected' && !current.known) join();
}

function show(group) {
  if (!rooms.has(group.groupID)) rooms.set(group.groupID, new Room(group));
  current = rooms.get(group.groupID);
  viewers = null;
  byID('viewers').textContent = '–';
  byID('room-name').textContent = group.name;
  byID('room-kind').textContent = kindOf(group);
  const address = new URL(location.href);
  address.searchParams.set('room', group.groupID);
  history.replaceState(null, '', address);
  list.mark(group.groupID);
  board.turnTo(current);
  stage.turnTo(groups.indexOf(group));
  gifts.clear();
  beside.turnTo(group.groupID);
  host.turnTo();
  voice.notice('');
  allow();
}

async function join() {
  const room = current;
  if (!room) return;
  try {
    await session.chat.joinGroup({ groupID: room.group.groupID });
    room.known = true;
    if (room === current) voice.notice('');
  } catch (fault) {
    if (room === current) voice.notice(whyNot(fault), 'bad');
  }
  allow();
  watch();
  frames.wake();
}

function whyNot({ code, message }) {
  if (code === 10010) return `This room does not exist any more (${code}).`;
  if (code !== 10007) return `The room did not let you in: ${message} (${code}).`;
  return current.group.type === 'Private'
    ? `This room is private: only members get in, and nobody has added ${userID} yet (10007). The host can.`
    : `This room does not let viewers join by themselves: somebody has to add ${userID} (10007).`;
}

function counter({ groupID, key, value }) {
  const room = rooms.get(groupID);
  if (!room) return;
  if (value === 0n && !Object.hasOwn(session.chat.counters(groupID) ?? {}, key)) room.drop(key);
  else room.tell(key, value);
  frames.wake();
}

function dismissed({ groupID }) {
  gone(groupID, 'This room has been closed.');
}

function membership({ groupID, status }) {
  if (status === 'removed') gone(groupID, 'You have been removed from this room.');
  else if (groupID === current?.group.groupID) join();
}

function gone(groupID, words) {
  rooms.get(groupID)?.leave();
  if (groupID === current?.group.groupID) voice.notice(words, 'bad');
  allow();
}

// Taps are taken while the connection is away, too: they wait in the SDK, and go out when it is back.
async function tap(key) {
  const room = current;
  const settle = room.tap(key);
  if (!settle) return voice.notice('Too many taps wait already.', 'bad');
  board.tapped(key);
  frames.wake();
  if (state !== 'connected') voice.notice('Kept: your taps go out when the connection is back.', 'kept');
  try {
    await session.chat.tap({ groupID: room.group.groupID, key });
    confirmed += 1;
    voice.settle('kept');
  } catch (fault) {
    voice.notice(`${room.group.name}: ${REFUSED[fault.code] ?? fault.message} (${fault.code}).`, 'bad');
  }
  settle();
  frames.wake();
}

function grew({ key, grown, own, interval, now }) {
  stage.grow(grown > 1_000n ? 1_000 : Number(grown));
  const gift = GIFTS.find((each) => each.key === key);
  if (!gift && key !== 'like') return;
  if (own > 0n) hearts.rise(key, own, { own: true, interval: 0, now });
  if (grown > own) hearts.rise(key, grown - own, { own: false, interval, now });
  if (!gift) return;
  if (own > 0n) gifts.give(OWN, gift, own, now);
  if (grown > own) gifts.give('The room', gift, grown - own, now);
}

function waiting() {
  let count = 0;
  for (const room of rooms.values()) count += room.waiting;
  return count;
}

function allow() {
  board.allow(Boolean(current?.known) && state !== 'stopped');
}

async function watch() {
  const room = current;
  if (!room?.known || state !== 'connected' || document.hidden) return;
  try {
    const { data } = await session.chat.getGroupOnlineMemberCount(room.group.groupID);
    if (room !== current) return;
    viewers = data.memberCount;
    byID('viewers').textContent = viewers.toLocaleString('en-US');
    stage.watch(viewers);
  } catch {
    // The next look tells.
  }
}

// What goes on where nothing moves, too.
function tick() {
  const now = performance.now();
  gifts.tick(now);
  board.rate(now);
}

function paint(now, gap) {
  board.paint(now);
  hearts.paint(now);
  stage.paint(now, gap);
  instruments.painted();
}
