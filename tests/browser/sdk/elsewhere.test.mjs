// The SDK away from the gateway: in pages of another origin, behind a development proxy, and installed as a package.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { Gateway, LAUNCH, ROOT } from '../gateway.mjs';

const run = promisify(execFile);
const PAGE = '<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,">';
const servers = [];
let browser;

before(async () => {
  browser = await chromium.launch(LAUNCH);
});

after(async () => {
  await browser?.close();
  for (const server of servers) server.close();
});

/** A site of its own origin; `more(server)` may add to it. Gives its origin. */
async function site(more = () => {}) {
  const server = http.createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(PAGE));
  more(server);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

/** Runs `call(argument)` in a page of `origin`; gives what it comes to. */
async function inPage(origin, call, argument) {
  const context = await browser.newContext();
  await context.grantPermissions(['local-network-access'], { origin });
  const page = await context.newPage();
  await page.goto(origin);
  try {
    return await page.evaluate(call, argument);
  } finally {
    await context.close();
  }
}

/** Taps once, with all that comes from `base`; gives the number of taps, or why there is none. */
const tap = async ({ base, userID }) => {
  try {
    const { create } = await import(`${base}/sdk/index.js`);
    const { sdkAppID, userSig } = await (await fetch(`${base}/demo/session?userID=${userID}`)).json();
    const chat = create({ SDKAppID: sdkAppID, url: new URL(`${base}/ws`, location).href, timeout: 3_000 });
    await chat.login({ userID, userSig });
    await chat.joinGroup({ groupID: 'game-lounge' });
    return (await chat.tap({ groupID: 'game-lounge', key: 'elsewhere' })).data.value;
  } catch (fault) {
    return fault.message;
  }
};

test('a page of another origin: the module is for everybody, the socket and a sig for those allowed', async () => {
  const [friend, stranger] = [await site(), await site()];
  const gateway = new Gateway({ TALLYCAST_SECURITY__ALLOWED_ORIGINS: friend });
  try {
    await gateway.start();
    assert.equal(await inPage(friend, tap, { base: gateway.base, userID: 'friend' }), 1);
    assert.match(await inPage(stranger, tap, { base: gateway.base, userID: 'stranger' }), /Failed to fetch/);
    const { userSig } = await (await fetch(`${gateway.base}/demo/session?userID=stranger`)).json();
    const refused = await inPage(stranger, async ({ base, userSig }) => {
      const { create } = await import(`${base}/sdk/index.js`);
      return create({ SDKAppID: 1, url: `${base}/ws`, timeout: 2_000 }).login({ userID: 'stranger', userSig }).catch(({ code, message }) => `${code} ${message}`);
    }, { base: gateway.base, userSig });
    assert.match(refused, /^2801 Not logged in within 2 s\. No way to ws:.* wrong path or origin/);
  } finally {
    await gateway.clear();
  }
});

test('behind a development proxy a page is of the same origin, as the README shows it', async () => {
  const gateway = new Gateway();
  await gateway.start();
  try {
    // What Vite's `server.proxy` does: the Host header stays as the browser sent it.
    const to = (request) => ({ host: '127.0.0.1', port: gateway.port, path: request.url, method: request.method, headers: request.headers });
    const proxied = /^\/(ws|sdk|demo)\b/;
    const origin = await site((server) => {
      const [page] = server.listeners('request');
      server.removeAllListeners('request').on('request', (request, answer) => {
        if (!proxied.test(request.url)) return page(request, answer);
        request.pipe(http.request(to(request), (came) => came.pipe(answer.writeHead(came.statusCode, came.headers))));
      });
      server.on('upgrade', (request, socket) => {
        http.request({ ...to(request), agent: false }).on('upgrade', (came, other) => {
          socket.write(`HTTP/1.1 101 Switching Protocols\r\n${came.rawHeaders.map((text, n) => (n % 2 ? `${text}\r\n` : `${text}: `)).join('')}\r\n`);
          other.pipe(socket).pipe(other);
          for (const each of [socket, other]) each.on('error', () => {});
        }).end();
      });
    });
    assert.equal(await inPage(origin, tap, { base: '', userID: 'proxied' }), 1);
  } finally {
    await gateway.clear();
  }
});

test('installed from the gateway: npm takes the package, and it is the same bytes each time', async () => {
  const gateway = new Gateway();
  const folder = await mkdtemp(join(tmpdir(), 'tallycast-install-'));
  try {
    await gateway.start();
    const bytes = async () => {
      const answer = await fetch(`${gateway.base}/sdk/tallycast.tgz`);
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/gzip']);
      return createHash('sha256').update(Buffer.from(await answer.arrayBuffer())).digest('hex');
    };
    const first = await bytes();
    await gateway.end('SIGTERM');
    await gateway.start();
    assert.equal(await bytes(), first);
    await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    await run('npm', ['install', '--no-audit', '--no-fund', '--cache', join(folder, 'cache'), `${gateway.base}/sdk/tallycast.tgz`], { cwd: folder });
    const installed = join(folder, 'node_modules/tallycast');
    assert.deepEqual((await readdir(installed)).sort(), (await readdir(join(ROOT, 'web-demo/sdk'))).sort());
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', "import { TYPES } from 'tallycast'; import 'tallycast/element'; console.log(TYPES.GRP_AVCHATROOM)"], { cwd: folder });
    assert.equal(stdout, 'AVChatRoom\n');
  } finally {
    await gateway.clear();
    await rm(folder, { recursive: true, force: true });
  }
});
