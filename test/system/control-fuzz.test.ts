/**
 * Ten thousand frames of chance against one real server: valid ones, ones that were damaged, and bytes. Whatever comes,
 * the server answers what can be read, serves, and keeps nothing: no descriptor, no session, no memory.
 *
 * The seed is told; `KIRIN_SEED` repeats it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { COMMANDS } from '../../src/actors/control/grammar.ts';
import { ControlClient, framed } from './control-client.ts';
import { controlled } from './controlled.ts';
import { descriptors, needsProc } from './harness.ts';

const SEED = Number(process.env['KIRIN_SEED'] ?? Date.now() % 2 ** 31);
const ROUNDS = 10;
const FRAMES_PER_ROUND = 1000;
const CONNECTIONS = 5;
/** What may be in use more after the last rounds than after the first: far less than their frames have. */
const GROWTH_BYTES_MAX = 24 * 1024 * 1024;
/** Otherwise V8 keeps garbage for as long as there is room. */
const NODE_OPTIONS = '--max-semi-space-size=1 --max-old-space-size=64';

/** What is sent at once, and whether the connection can be used after it. */
interface Shot {
  bytes: Buffer;
  last: boolean;
}

/** Commands whose effect is no matter here; none that stops the server, starts another, or is about a process. */
const harmless = COMMANDS.filter(
  ({ name }) =>
    !['shutdown', 'worker kill', 'worker add', 'reload', 'reopen', 'upgrade', 'standby'].includes(name),
);
const argument = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('wide', 'origin', '--wait', '1', '0', '-3', '1e9', '1024', 'pool', ''),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
);
const command = fc
  .tuple(fc.constantFrom(...harmless), fc.array(argument, { maxLength: 3 }))
  .map(([{ name }, args]) => [name, ...args].join(' '));
/** Numbers that are no pid: a kernel has none above four millions. */
const killing = fc
  .oneof(fc.integer({ min: 2 ** 30 }), fc.constantFrom('x', '-1', '0', '1e3', ''))
  .map((pid) => `worker kill ${pid}`);
const id = fc.oneof(fc.integer(), fc.string({ maxLength: 10 }), fc.constant(null));
const request = fc.record(
  {
    id: fc.oneof({ weight: 9, arbitrary: id }, { weight: 1, arbitrary: fc.jsonValue() }),
    command: fc.oneof(
      { weight: 8, arbitrary: command },
      { weight: 1, arbitrary: killing },
      { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
      // A value in a command's place is never one.
      { weight: 1, arbitrary: fc.jsonValue().filter((value) => typeof value !== 'string') },
    ),
    args: fc.oneof(
      { weight: 8, arbitrary: fc.array(argument, { maxLength: 2 }) },
      { weight: 1, arbitrary: fc.jsonValue() },
    ),
    stream: fc.oneof(fc.boolean(), fc.jsonValue()),
  },
  { requiredKeys: [] },
);

const valid = request.map((value): Shot => ({ bytes: framed(JSON.stringify(value)), last: false }));
const places = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 });
/** Damage in the body: the frame is still one. */
const damaged = fc.tuple(request, places).map(([value, edits]): Shot => {
  const body = Buffer.from(JSON.stringify(value));
  for (const [place, byte] of edits) body[place % body.length] = byte;
  return { bytes: framed(body), last: false };
});
/** Damage in the length, or a part: what follows is read as something else. */
const misframed = fc.tuple(request, fc.nat(), fc.boolean()).map(([value, chance, cut]): Shot => {
  const bytes = framed(JSON.stringify(value));
  if (cut) return { bytes: bytes.subarray(0, chance % bytes.length), last: true };
  bytes[chance % 4] = chance % 251;
  return { bytes, last: true };
});
const raw = fc.uint8Array({ maxLength: 300 });
const shot: fc.Arbitrary<Shot> = fc.oneof(
  { weight: 10, arbitrary: valid },
  { weight: 6, arbitrary: damaged },
  { weight: 2, arbitrary: raw.map((bytes): Shot => ({ bytes: framed(bytes), last: false })) },
  { weight: 1, arbitrary: misframed },
  { weight: 1, arbitrary: raw.map((bytes): Shot => ({ bytes: Buffer.from(bytes), last: true })) },
);

const MARK = 'a mark that chance does not make';

/** Waits until everything sent so far is read, unless the connection ends before. */
async function settled(client: ControlClient): Promise<void> {
  client.request({ id: MARK, command: 'help' });
  await client.until('all is read', () => client.ended || client.frames.some(({ id }) => id === MARK));
}

/** Sends shots on connections that are replaced as they end; resolves with the number of frames that came. */
async function fire(path: string, shots: readonly Shot[]): Promise<number> {
  const used: ControlClient[] = [];
  const fresh = async (): Promise<ControlClient> => {
    // One that has finished may still follow the events: it is given up when the next one has.
    used.at(-2)?.destroy();
    const client = await ControlClient.connect(path);
    used.push(client);
    return client;
  };
  let client = await fresh();
  for (const { bytes, last } of shots) {
    if (client.ended || client.closed) client = await fresh();
    if (last) await settled(client);
    client.send(bytes);
    if (last) {
      client.finish();
      client = await fresh();
    }
  }
  await settled(client);
  // What still waits, such as "events", would wait for ever.
  client.send(framed('')).send(Buffer.alloc(4, 0xff));
  await client.end();
  for (const one of used) one.destroy();
  return used.reduce((sum, { frames }) => sum + frames.length, 0);
}

test('ten thousand frames of chance', { skip: needsProc }, async (t) => {
  t.diagnostic(`KIRIN_SEED=${SEED}`);
  const { site, server, ask } = await controlled(t, ['-w', '1'], { env: { NODE_OPTIONS } });
  const path = site.path('kirin.ctl');
  const shots = fc.sample(shot, { numRuns: ROUNDS * FRAMES_PER_ROUND, seed: SEED });
  const { pid } = await ask('show stats');
  const opened = descriptors(pid).length;
  const rss: number[] = [];
  let answered = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const part = shots.slice(round * FRAMES_PER_ROUND, (round + 1) * FRAMES_PER_ROUND);
    const perConnection = Math.ceil(part.length / CONNECTIONS);
    const fired = Array.from({ length: CONNECTIONS }, (_, index) =>
      fire(path, part.slice(index * perConnection, (index + 1) * perConnection)),
    );
    answered += (await Promise.all(fired)).reduce((sum, one) => sum + one, 0);
    await server.until('all sessions have ended', async () => {
      const { machines } = await ask('show machine');
      return machines.filter(({ machine }: { machine: string }) => machine === 'controlSession').length === 1;
    });
    rss.push((await ask('show stats')).rss_bytes);
  }
  assert.ok(answered > (ROUNDS * FRAMES_PER_ROUND) / 2, `only ${answered} were answered`);
  await server.until('no descriptor is left', () => descriptors(pid).length <= opened);
  const [first, last] = [Math.max(...rss.slice(0, 3)), Math.min(...rss.slice(-3))];
  assert.ok(last - first < GROWTH_BYTES_MAX, `memory grew: ${rss.map((one) => one >> 20).join(', ')} MiB`);
  assert.equal((await ask('show all')).arbiter.pid, server.pid);
  assert.equal((await server.get()).status, 200);
  assert.deepEqual(server.all(/bug in Kirin/), []);
  assert.equal(await server.stop(), 0);
});
