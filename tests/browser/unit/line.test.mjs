// The wire with its scissors and its window, and what is read from it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeLine, masked } from '../../../web-demo/live/line.js';
import { Readings } from '../../../web-demo/live/readings.js';

function world() {
  const sockets = [];
  const frames = [];
  class WebSocket {
    static CLOSED = 3;
    readyState = 1;
    sent = [];
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    send(text) {
      this.sent.push(text);
    }
    close() {
      this.readyState = 2;
    }
  }
  const line = makeLine({ WebSocket, frame: (direction, text) => frames.push([direction, text]) });
  return { line, sockets, frames };
}

test('no signature leaves the wire for the eye, however it is written', () => {
  const sent = JSON.stringify({ id: 1, cmd: 'login', userSig: 'eJ"x\\y*_-', userID: 'ann' });
  assert.equal(masked(sent), '{"id":1,"cmd":"login","userSig":"•••","userID":"ann"}');
  assert.equal(masked('{"userSig" : "abc"}'), '{"userSig" : "•••"}');
  const { line, sockets, frames } = world();
  const socket = new line.WebSocket('ws://x/ws');
  socket.send(sent);
  assert.deepEqual(sockets[0].sent, [sent], 'the gateway gets it whole');
  assert.deepEqual(frames, [['out', masked(sent)]]);
});

test('a cut ends what is open at once, and keeps what is new from opening', async () => {
  const { line, sockets, frames } = world();
  const socket = new line.WebSocket('ws://x/ws');
  const closes = [];
  const heard = [];
  socket.onclose = ({ code }) => closes.push(code);
  socket.onmessage = ({ data }) => heard.push(data);
  sockets[0].onmessage({ data: '1' });
  line.cut(true);
  assert.deepEqual(closes, [1006]);
  assert.equal(socket.readyState, 3);
  sockets[0].onmessage({ data: '2' });
  socket.send('3');
  sockets[0].onclose({ code: 1000, reason: '' });
  assert.deepEqual([heard, closes, sockets[0].sent], [['1'], [1006], []]);
  const next = new line.WebSocket('ws://x/ws');
  const code = await new Promise((closed) => {
    next.onclose = (close) => closed(close.code);
  });
  assert.equal(code, 1006);
  assert.equal(sockets.length, 1, 'nothing went out');
  line.cut(false);
  new line.WebSocket('ws://x/ws').send('4');
  assert.deepEqual(sockets[1].sent, ['4']);
  assert.deepEqual(frames.map(([, text]) => text), ['1', '4']);
});

test('latencies, rates and conflation are read from the frames', () => {
  const readings = new Readings();
  const put = (direction, frame, now) => readings.frame(direction, JSON.stringify(frame), now);
  put('out', { id: 1, cmd: 'joinGroup', groupID: 'r' }, 0);
  put('in', { id: 1, code: 0, data: { group: { groupID: 'r' }, version: 10, counters: {}, epoch: 'e' } }, 5);
  put('out', { id: 2, cmd: 'increaseGroupCounter', groupID: 'r', key: 'like', value: 1 }, 1_000);
  put('in', { id: 2, code: 0, data: { groupID: 'r', key: 'like', value: 3, version: 14 } }, 1_008);
  put('in', { event: 'GROUP_COUNTER_UPDATED', data: { groupID: 'r', key: 'rose', value: 1, version: 13 } }, 1_009);
  assert.equal(readings.pushes.percentile(0.5), null, 'another counter shows nothing of this one');
  put('in', { event: 'GROUP_COUNTER_UPDATED', data: { groupID: 'r', key: 'like', value: 5, version: 18 } }, 1_020);
  assert.equal(readings.answers.percentile(0.5), 8);
  assert.equal(readings.pushes.percentile(0.5), 20);
  const { writes, pushes } = readings.series(2_500);
  assert.deepEqual([writes.at(-1), pushes.at(-1)], [8, 2]);
  put('out', { id: 3, cmd: 'increaseGroupCounter', groupID: 'r', key: 'like', value: 1 }, 3_000);
  put('in', { id: 3, code: 2996, message: 'slow down', retryAfter: 10 }, 3_001);
  put('out', { id: 4, cmd: 'increaseGroupCounter', groupID: 'r', key: 'like', value: 1 }, 3_000);
  readings.lose();
  put('in', { id: 4, code: 0, data: { groupID: 'r', key: 'like', value: 6, version: 19 } }, 9_000);
  readings.frame('in', 'not JSON', 9_000);
  assert.equal(readings.answers.percentile(1), 8, 'neither a refusal nor a lost answer is a latency');
});
