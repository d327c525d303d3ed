/** A router and callers of different versions of the wire, all of them real: each hears at once what the other speaks. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { DirtyClient } from '../../src/actors/dirty/client.ts';
import { FRAME, FRAME_BYTES_MAX, HEADER_BYTES, typeOf, VERSION } from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { Router } from '../../src/actors/dirty/router.ts';
import { acceptedChannel, connectChannel } from '../../src/actors/dirty/socket-channel.ts';
import { temporaryDirectory } from './support.ts';

const sources = fileURLToPath(new URL('../../src/actors/dirty/', import.meta.url));

interface Speaker {
  DirtyClient: typeof DirtyClient;
  Router: typeof Router;
  acceptedChannel: typeof acceptedChannel;
}

/** All of it as it would be if its version were another. */
async function speakerOf(t: TestContext, version: number): Promise<Speaker> {
  const outfile = join(temporaryDirectory(t), `version-${version}.mjs`);
  const exports = ['client', 'router', 'socket-channel'].map((name) => `export * from './${name}.ts';`);
  await build({
    stdin: { contents: exports.join('\n'), resolveDir: sources, loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    plugins: [
      {
        name: 'another version',
        setup: ({ onLoad }) =>
          onLoad({ filter: /dirty\/frames\.ts$/ }, async ({ path }) => {
            const text = await readFile(path, 'utf8');
            const contents = text.replace(/VERSION = \d+;/, `VERSION = ${version};`);
            assert.notEqual(contents, text);
            return { contents, loader: 'ts' };
          }),
      },
    ],
  });
  return await import(pathToFileURL(outfile).href);
}

interface Place {
  path: string;
  notices: string[];
  /** How often somebody connected. */
  connections(): number;
}

/** A router of that kind, on a socket of its own. */
async function routerOf(
  t: TestContext,
  speaker: Pick<Speaker, 'Router' | 'acceptedChannel'>,
): Promise<Place> {
  const path = join(temporaryDirectory(t), 'dirty.sock');
  const notices: string[] = [];
  const router = new speaker.Router({
    apps: [{ importPath: './ml.js:Model', number: 0 }],
    queueMax: 10,
    threads: 1,
    graceMs: 1000,
    stash: (payload) => ({ ok: true, payload }),
    stuck: (_age, why) => assert.fail(why),
    left: () => {},
    notice: (text) => notices.push(text),
  });
  let connections = 0;
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    connections++;
    router.accept(speaker.acceptedChannel(socket));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    router.close();
    server.close();
  });
  return { path, notices, connections: () => connections };
}

const ours = { Router, acceptedChannel };

for (const [theirs, what] of [
  [VERSION - 1, 'older'],
  [VERSION + 1, 'newer'],
] as const) {
  const refused = async (
    t: TestContext,
    place: Place,
    speaker: Pick<Speaker, 'DirtyClient'>,
  ): Promise<string> => {
    const client = new speaker.DirtyClient({
      connect: place.path,
      hello: { role: 'web', protocol: DIRTY_PROTOCOL, pid: 1, age: 1, generation: 1 },
      defaultTimeoutMs: 60_000,
    });
    t.after(() => client.close());
    const error = await client.execute('./ml.js:Model', 'predict', 1).then(
      () => assert.fail('it was answered'),
      (reason: Error & { code: string }) => reason,
    );
    assert.equal(error.code, 'DIRTY_CONNECTION');
    return error.message;
  };

  test(`${what} callers of the router hear both versions at once, and do not come again`, async (t) => {
    const place = await routerOf(t, ours);
    const speaker = await speakerOf(t, theirs);
    for (const _caller of [1, 2, 3])
      assert.match(
        await refused(t, place, speaker),
        new RegExp(`version ${VERSION} of the wire, this is ${theirs}$`),
      );
    assert.equal(place.connections(), 3);
    assert.deepEqual(place.notices, [
      `a connection was cut: version ${theirs} of the wire, this is ${VERSION}`,
    ]);
  });

  test(`callers of ${/^[aeiou]/.test(what) ? 'an' : 'a'} ${what} router hear both versions at once, and do not come again`, async (t) => {
    const place = await routerOf(t, await speakerOf(t, theirs));
    assert.match(
      await refused(t, place, { DirtyClient }),
      new RegExp(`version ${theirs} of the wire, this is ${VERSION}$`),
    );
    assert.equal(place.connections(), 1);
    assert.deepEqual(place.notices, [
      `a connection was cut: version ${VERSION} of the wire, this is ${theirs}`,
    ]);
  });
}

test('a refusal is an error that says why in plain text, and is itself not answered', async (t) => {
  const { path } = await routerOf(t, ours);
  const said = async (type: number): Promise<Buffer> => {
    const frame = Buffer.alloc(HEADER_BYTES);
    frame.set([0x4b, 0x44, 77, type]);
    const pieces: Buffer[] = [];
    const socket = connect(path, () => socket.write(frame));
    socket.on('data', (piece) => pieces.push(piece));
    await new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
    return Buffer.concat(pieces);
  };
  const answer = await said(FRAME.hello);
  assert.deepEqual(
    [answer.subarray(0, 2).toString(), answer[2], typeOf(answer)],
    ['KD', VERSION, FRAME.error],
  );
  const bytes = answer.readUInt32BE(16);
  assert.equal(answer.subarray(HEADER_BYTES).toString(), `version 77 of the wire, this is ${VERSION}`);
  assert.equal(answer.length, HEADER_BYTES + bytes);
  assert.equal((await said(FRAME.error)).length, 0);
  // Somebody else's garbage is not answered either.
  const channel = await connectChannel(path, { frameBytesMax: FRAME_BYTES_MAX });
  t.after(() => channel.close());
  const ended = new Promise((resolve) => {
    channel.open({ frame: () => assert.fail('it was answered'), ended: resolve });
  });
  channel.send(Buffer.alloc(HEADER_BYTES));
  await ended;
});
