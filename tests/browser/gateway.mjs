// Starts and ends the real program for the tests of the page, and talks to it apart from the page under test.

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

export const ROOT = resolve(import.meta.dirname, '../..');
export const BIN = resolve(process.env.TALLYCAST_BIN ?? join(ROOT, 'target/debug/tallycast'));
const START_MS_MAX = 20_000;

/** How the tests start Chromium: it says nothing to anybody but the program under test. */
export const LAUNCH = {
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
};

export class Gateway {
  #child = null;
  #data = null;
  #variables;
  #settings;
  port = 0;

  /** `variables` are added to the program's environment. Where `settings`, the text of a configuration, is given, it is no demo. */
  constructor(variables = {}, settings = null) {
    this.#variables = variables;
    this.#settings = settings;
  }

  get base() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts the program: on a free port at first, on the same port and data after that. */
  async start() {
    this.#data ??= await mkdtemp(join(tmpdir(), 'tallycast-page-'));
    const command = ['demo'];
    if (this.#settings !== null) {
      const file = join(this.#data, 'tallycast.toml');
      await writeFile(file, this.#settings, { mode: 0o600 });
      command.splice(0, 1, 'serve', '--config', file);
    }
    const args = [...command, '--listen', `127.0.0.1:${this.port}`, '--data', join(this.#data, 'store')];
    this.#child = spawn(BIN, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...this.#variables } });
    this.port = await listeningPort(this.#child);
  }

  /** Ends the program with a signal; resolves to `{ code, signal }` when it is gone. */
  end(signal) {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return Promise.resolve(null);
    return new Promise((gone) => {
      child.once('exit', (code, by) => gone({ code, signal: by }));
      child.kill(signal);
    });
  }

  async clear() {
    await this.end('SIGKILL');
    if (this.#data) await rm(this.#data, { recursive: true, force: true });
  }
}

function listeningPort(child) {
  return new Promise((found, failed) => {
    let text = '';
    const timer = setTimeout(() => failed(new Error(`not listening after ${START_MS_MAX} ms:\n${text}`)), START_MS_MAX);
    child.once('error', failed);
    child.once('exit', (code) => failed(new Error(`${BIN} ended with ${code}:\n${text}`)));
    child.stderr.on('data', (chunk) => {
      text = (text + stripVTControlCharacters(String(chunk))).slice(-20_000);
      const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
      if (!port) return;
      clearTimeout(timer);
      found(Number(port));
    });
  });
}

/**
 * Logs in as `userID` on a socket of its own and sends the frames one after the other. Resolves to the answers as text,
 * so that no digit is lost. The socket is opened by a bare page of the same origin, as a browser would.
 */
export async function talk(browser, base, userID, frames) {
  const page = await browser.newPage();
  try {
    await page.goto(`${base}/style.css`);
    return await page.evaluate(async ({ userID, frames }) => {
      const session = await (await fetch(`/demo/session?userID=${userID}`)).json();
      const ws = new WebSocket(`ws://${location.host}/ws`);
      await new Promise((open, failed) => Object.assign(ws, { onopen: open, onerror: failed }));
      const ask = (frame) => new Promise((settle) => {
        ws.onmessage = ({ data }) => JSON.parse(data).id === 1 && settle(data);
        ws.send(JSON.stringify({ id: 1, ...frame }));
      });
      await ask({ cmd: 'login', userID, userSig: session.userSig });
      const answers = [];
      for (const frame of frames) answers.push(await ask(frame));
      ws.close();
      return answers;
    }, { userID, frames });
  } finally {
    await page.close();
  }
}
