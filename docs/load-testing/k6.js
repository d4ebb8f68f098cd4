// Members of a room who like once a second each, with k6: how long answers take, and that none is refused.
//
//   k6 run k6.js
//   k6 run -e ADDRESS=ws://10.0.0.5:8080/ws -e ROOM=hall -e SIGS=sigs.tsv -e MEMBERS=50 -e SECONDS=30 k6.js
//
// SIGS: a file of users, one a line: userID, tab, userSig. There must be as many as members. The room must exist.
import { check } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';

const ADDRESS = __ENV.ADDRESS || 'ws://127.0.0.1:8080/ws';
const ROOM = __ENV.ROOM || 'hall';
const MEMBERS = Number(__ENV.MEMBERS || 20);
const SECONDS = Number(__ENV.SECONDS || 10);

const users = new SharedArray('users', () => open(__ENV.SIGS || 'sigs.tsv').trim().split('\n').map((line) => {
  const [userID, userSig] = line.split('\t');
  return { userID, userSig };
}));

const acknowledgement = new Trend('tallycast_acknowledgement', true);
const acknowledged = new Counter('tallycast_acknowledged');
const refused = new Counter('tallycast_refused');
const pushes = new Counter('tallycast_pushes');

export const options = {
  scenarios: { members: { executor: 'per-vu-iterations', vus: MEMBERS, iterations: 1, maxDuration: `${SECONDS + 30}s` } },
  thresholds: {
    checks: ['rate==1'],
    tallycast_acknowledgement: ['p(99)<100'],
    tallycast_refused: ['count==0'],
  },
};

export default function () {
  const { userID, userSig } = users[exec.vu.idInTest - 1];
  const socket = new WebSocket(ADDRESS);
  const sentAt = {};
  let next = 3;
  let liking;

  const send = (frame) => socket.send(JSON.stringify(frame));
  const like = () => {
    const id = next;
    next += 1;
    sentAt[id] = Date.now();
    send({ id, cmd: 'increaseGroupCounter', groupID: ROOM, key: 'like', value: 1, opID: `${userID}-${sentAt[id]}-${id}` });
  };

  socket.onopen = () => send({ id: 1, cmd: 'login', userID, userSig });
  socket.onerror = (event) => check(null, { 'the socket works': () => false }) || console.error(event.error);
  socket.onclose = () => clearInterval(liking);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.event === 'GROUP_COUNTER_UPDATED') {
      pushes.add(1);
    } else if (message.id === 1) {
      check(message, { 'login is accepted': ({ code }) => code === 0 });
      send({ id: 2, cmd: 'joinGroup', groupID: ROOM });
    } else if (message.id === 2) {
      check(message, { 'the room is joined': ({ code }) => code === 0 });
      liking = setInterval(like, 1000);
      setTimeout(() => clearInterval(liking), SECONDS * 1000);
      // Time for the last answers.
      setTimeout(() => socket.close(), SECONDS * 1000 + 1000);
    } else if (message.id in sentAt) {
      if (message.code === 0) {
        acknowledgement.add(Date.now() - sentAt[message.id]);
        acknowledged.add(1);
      } else {
        refused.add(1, { code: String(message.code) });
      }
      delete sentAt[message.id];
    }
  };
}
