// The package as it is published: what is in it, how large it is, and that its types say what the code does.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';
import { create, EVENT, TYPES } from '../../../../web-demo/sdk/index.js';
import { World } from '../world.mjs';

const SDK = join(import.meta.dirname, '../../../../web-demo/sdk');
const BIN = join(import.meta.dirname, '../../node_modules/.bin');
const GZIP_BYTES_MAX = 7 * 1_024;
const SUBPATH_GZIP_BYTES_MAX = 1_000;
const FILE_LINES_MAX = 300;

const run = promisify(execFile);
const read = (name) => readFileSync(join(SDK, name), 'utf8');
const declared = (name) => Object.fromEntries([...(new RegExp(`export const ${name}: {(.*?)^};`, 'ms').exec(read('index.d.ts')) ?? assert.fail(name))[1].matchAll(/readonly (\w+): '([^']+)'/g)].map(([, key, value]) => [key, value]));

/** What a page has to load of an entry, minified as a page's own build would, and compressed. */
async function weight(entry, external = []) {
  const { outputFiles, metafile } = await build({ entryPoints: [join(SDK, entry)], bundle: true, format: 'esm', write: false, metafile: true, external });
  const { code } = await minify(outputFiles[0].text, { module: true, compress: { passes: 2 } });
  return { bytes: gzipSync(code, { level: 9 }).length, files: Object.keys(metafile.inputs) };
}

test('the types: the vendor\'s declarations take our client for theirs, and ours are sound', async () => {
  for (const project of ['surface', 'declarations', 'react', 'preact', 'vue', 'svelte']) {
    await run(join(BIN, 'tsc'), ['-p', join(import.meta.dirname, `../types/${project}.json`)]).catch((fault) => assert.fail(`${project}: ${fault.stdout}`));
  }
});

test('the types name what is there, and nothing else', () => {
  assert.deepEqual(declared('EVENT'), EVENT);
  assert.deepEqual(declared('TYPES'), TYPES);
  const body = /export interface Chat<.*?> {(.*?)^}/ms.exec(read('index.d.ts'))[1];
  const methods = new Set([...body.matchAll(/^ {2}(\w+)[<(]/gm)].map(([, name]) => name));
  const chat = create({ apart: true, SDKAppID: 1, url: 'ws://fake/ws', env: new World().env });
  assert.deepEqual(Object.keys(chat).sort(), [...methods].sort());
});

test('everything can be imported where there is no page, as on a server', async () => {
  for (const entry of ['index.js', 'element.js']) assert.ok(await import(join(SDK, entry)));
});

test(`the SDK is no larger than ${GZIP_BYTES_MAX} bytes, and knows nobody else's code`, async (t) => {
  const { bytes, files } = await weight('index.js');
  t.diagnostic(`${bytes} bytes, minified and compressed`);
  assert.ok(files.every((name) => name.includes('web-demo/sdk/')), files.join(' '));
  assert.ok(bytes <= GZIP_BYTES_MAX, `${bytes} bytes`);
  for (const entry of ['react.js', 'element.js']) {
    const more = await weight(entry, ['react']);
    t.diagnostic(`${entry}: ${more.bytes} bytes`);
    assert.ok(more.bytes <= SUBPATH_GZIP_BYTES_MAX, `${entry}: ${more.bytes} bytes`);
  }
});

test('npm packs the code, the types, the README and the license, and no test', async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json'], { cwd: SDK });
  const [{ name, files }] = JSON.parse(stdout);
  assert.equal(name, 'tallycast');
  const packed = files.map(({ path }) => path).sort();
  assert.deepEqual(packed, readdirSync(SDK).sort(), 'all that is here, and all of it flat');
  for (const path of packed) assert.match(path, /^(\w+\.js|[\w-]+\.d\.ts|package\.json|README\.md|LICENSE)$/);
  const { exports, dependencies, license, repository } = JSON.parse(read('package.json'));
  assert.equal(read('LICENSE'), readFileSync(join(SDK, '../../LICENSE'), 'utf8'));
  assert.deepEqual([license, repository.directory], ['Apache-2.0', 'web-demo/sdk']);
  assert.equal(dependencies, undefined);
  for (const target of Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? entry : Object.values(entry)))) assert.ok(packed.includes(target.slice(2)), target);
});

test('every file says what it is, and is short enough to read', () => {
  for (const name of readdirSync(SDK).filter((each) => each.endsWith('.js'))) {
    assert.match(read(name), /^\/\/ [A-Z<]/, name);
    assert.ok(read(name).split('\n').length <= FILE_LINES_MAX, name);
  }
});
