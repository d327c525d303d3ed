/** What one who watches a real server sees through its control socket: everything that is, and what becomes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathOf } from '../../src/actors/control/scene.ts';
import type { Told } from '../../src/actors/inspect/records.ts';
import { type Controlled, controlled } from './controlled.ts';
import { dirtyServer, environment, WORK } from './dirty-server.ts';
import { eventually, fixture } from './harness.ts';
import { type ControlWatcher, type Seen, watchOverControl } from './inspected.ts';

const watch = (t: Parameters<typeof watchOverControl>[0], { site }: Controlled): Promise<ControlWatcher> =>
  watchOverControl(t, site.path('kirin.ctl'));

const is = <K extends Told['t']>(record: Told, t: K): record is Told & { t: K } => record.t === t;
const all = <K extends Told['t']>(seen: Seen, t: K): (Told & { t: K })[] =>
  seen.records.filter((record): record is Told & { t: K } => is(record, t));

/** Every web worker and its machine. */
const bothServe = (seen: Seen, count = 2): boolean => {
  const roots = seen.roots('web');
  return roots.length === count && roots.every(({ value }) => JSON.stringify(value).includes('serving'));
};

test('who watches sees every process below the child machine that supervises it, and figures of each', async (t) => {
  const server = await controlled(t);
  const seen = await watch(t, server);
  await seen.until('both workers are seen', () => seen.isLive && bothServe(seen));
  await seen.until('each process has figures', () => seen.state.beats.length === 3);
  const { processes, actors } = seen.state;
  assert.equal(seen.hello?.pid, server.server.pid);
  for (const { pid, process, parent, age, slot, generation } of processes) {
    if (process === 'arbiter') continue;
    const child = actors.find(({ id }) => id === parent);
    assert.deepEqual(child?.about, { title: 'worker', age, slot, generation, pid });
    const root = actors.find((actor) => actor.root && actor.pid === pid);
    assert.equal(root?.parent, parent);
    assert.equal(root?.machine, 'worker');
  }
  const ids = new Set(actors.map(({ id }) => id));
  assert.equal(ids.size, actors.length);
  for (const { id, parent } of actors) assert.ok(parent === null || ids.has(parent), `${id} hangs nowhere`);
});

test('one who comes late sees what the machines themselves say', async (t) => {
  const server = await controlled(t);
  const first = await watch(t, server);
  await first.until('both workers are seen', () => bothServe(first));
  await server.ask('worker add 1 --wait');
  await server.ask('reload --wait');
  const late = await watch(t, server);
  await late.until('it is told all', () => late.isLive && bothServe(late, 3));
  const said = async (): Promise<string[]> =>
    (await server.ask('show machine')).machines.map(
      (one: { id: string; state: string }) => `${one.id} ${one.state}`,
    );
  const shown = (seen: Seen): string[] =>
    seen.state.actors
      .filter(({ machine, pid }) => machine !== null && pid === server.server.pid)
      .map(({ name, value }) => `${name} ${pathOf(value)}`);
  // Those of the sessions change while they are asked for.
  const of = (list: string[]) => JSON.stringify(list.filter((one) => !one.startsWith('session')).sort());
  // A worker of before may still be leaving: both are asked until nothing changes.
  for (const seen of [first, late])
    await eventually('both agree', async () => of(shown(seen)) === of(await said()));
});

test('a worker that is killed is seen to die, and the next one to be born', async (t) => {
  const server = await controlled(t);
  const seen = await watch(t, server);
  await seen.until('both workers are seen', () => bothServe(seen));
  const { pid } = server.server.ready()[0]!;
  process.kill(pid, 'SIGKILL');
  await seen.until('it is gone', () => all(seen, 'ended').some((record) => record.pid === pid));
  assert.equal(
    seen.state.actors.some((actor) => actor.pid === pid),
    false,
  );
  await seen.until('there is another', () => bothServe(seen));
  const born = all(seen, 'process').findLast(({ process: kind }) => kind === 'web')!;
  assert.equal(born.age, 3);
  const steps = all(seen, 'step').filter(({ id }) => id === born.parent);
  assert.deepEqual(
    steps.map(({ value }) => pathOf(value)).filter((value, n, list) => value !== list[n - 1]),
    ['alive.starting.spawned', 'alive.starting.booting', 'alive.ready.fresh'],
  );
});

test('an event is seen where it is sent and where it arrives, with the transition and the actions it causes', async (t) => {
  const server = await controlled(t);
  const seen = await watch(t, server);
  await seen.until('both workers are seen', () => bothServe(seen));
  await server.ask('worker add 1 --wait');
  const nameOf = (id: string | null) => seen.board.actor(id ?? '')?.name;
  const event = await seen.until('the order arrives', () =>
    all(seen, 'event').find((one) => JSON.stringify(one.event).includes('"pool.scale"')),
  );
  assert.deepEqual([nameOf(event.from), nameOf(event.to)], ['arbiter', 'pool']);
  const step = await seen.until('the pool takes it', () =>
    all(seen, 'step').find(
      ({ id, took }) => id === event.to && took.some((one) => one.event === 'pool.scale'),
    ),
  );
  assert.ok(step.actions.length > 0, 'its actions have names');
  await seen.until('the log is told', () =>
    all(seen, 'log').some(({ text }) => /worker 3 .* is ready/.test(text)),
  );
  assert.ok(
    seen.records.indexOf(event) < seen.records.indexOf(step),
    'an event is told before what it causes',
  );
});

test('over all processes, nothing is received before it was sent, and time does not run back', async (t) => {
  const server = await controlled(t);
  const seen = await watch(t, server);
  await seen.until('both workers are seen', () => seen.isLive && bothServe(seen));
  const old = new Set(seen.roots('web').map(({ pid }) => pid));
  await server.ask('reload --wait');
  // A worker tells of itself when it has heard that somebody watches; one that is gone by then tells nothing.
  await seen.until('both new workers are seen', () => {
    const now = seen.roots('web').filter(({ pid }) => !old.has(pid));
    return now.length === 2 && bothServe(seen);
  });
  await server.ask('worker remove 1 --wait');
  await seen.until('one worker is left', () => bothServe(seen, 1));
  const actors = new Map(all(seen, 'actor').map((actor) => [actor.id, actor]));
  const nameOf = (id: string | null): string => actors.get(id ?? '')?.name ?? '';
  const typeOf = (event: unknown): unknown => (event as { type?: unknown }).type;
  const events = seen.records.flatMap((record, at) =>
    is(record, 'event') ? [{ ...record, place: at }] : [],
  );
  let passed = 0;
  for (const receipt of events) {
    const type = typeOf(receipt.event);
    if (nameOf(receipt.from) !== 'process' || (type !== 'worker.ready' && type !== 'worker.draining'))
      continue;
    // What hangs below the child machine that has heard it is the root of the process that said it.
    const root = [...actors.values()].find((one) => one.root && one.parent === receipt.to);
    if (!root) continue;
    const sending = events.find(
      (one) => one.from === root.id && nameOf(one.to) === 'link' && typeOf(one.event) === type,
    );
    // A worker may be ready before it has heard that somebody watches.
    if (!sending && type === 'worker.ready') continue;
    assert.ok(
      sending && sending.place < receipt.place,
      `${type} of ${root.pid}: ${sending?.place} to ${receipt.place}`,
    );
    passed++;
  }
  assert.ok(passed >= 3, `${passed} events passed a link`);
  const times = seen.records.map(({ at }) => at);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
});

test('no dirty worker outlives its arbiter, be that killed or stopped', async (t) => {
  const server = await dirtyServer(t, ['--dirty-app', WORK, '--dirty-workers', '2']);
  const seen = await watch(t, server);
  for (let deaths = 0; deaths < 2; deaths++) {
    await seen.until('there are two dirty workers', () => seen.roots('dirtyWorker').length === 2);
    const [arbiter] = seen.roots('dirtyArbiter');
    process.kill(arbiter!.pid, 'SIGKILL');
    await seen.until('another takes its place', () => {
      const [now] = seen.roots('dirtyArbiter');
      return now && now.pid !== arbiter!.pid;
    });
    const { processes, actors } = seen.state;
    for (const { parent, pid } of processes)
      assert.ok(parent === null || actors.some(({ id }) => id === parent), `${pid} hangs nowhere`);
  }
  await seen.until('there are two dirty workers', () => seen.roots('dirtyWorker').length === 2);
  const workers = seen.roots('dirtyWorker').map(({ pid }) => pid);
  await server.server.stop();
  await eventually('the end is told', () => seen.bye);
  for (const pid of workers)
    assert.ok(
      all(seen, 'ended').some((record) => record.pid === pid),
      `that ${pid} has ended is told`,
    );
});

test('dirty workers are watched through their arbiter', async (t) => {
  const server = await dirtyServer(t, ['--dirty-app', WORK, '--dirty-workers', '2']);
  const seen = await watch(t, server);
  const workers = await seen.until('both dirty workers are seen', () => {
    const roots = seen.roots('dirtyWorker');
    return roots.length === 2 ? roots : undefined;
  });
  const [arbiter] = seen.roots('dirtyArbiter');
  assert.equal(arbiter?.machine, 'dirtyArbiter');
  const { actors } = seen.state;
  const nameOf = (id: string | null) => actors.find((actor) => actor.id === id);
  assert.equal(nameOf(arbiter!.parent)?.about?.title, 'dirty arbiter');
  for (const { parent, machine } of workers) {
    assert.equal(machine, 'worker');
    assert.equal(nameOf(parent)?.about?.title, 'dirty worker');
    assert.equal(nameOf(parent)?.pid, arbiter!.pid);
  }
  await seen.until('they have figures', () =>
    workers.every(({ pid }) => seen.state.beats.some((one) => one.pid === pid)),
  );
  const [pid] = await server.dirtyPids();
  process.kill(pid!, 'SIGKILL');
  await seen.until('one is gone', () => all(seen, 'ended').some((record) => record.pid === pid));
  await seen.until('there are two again', () => seen.roots('dirtyWorker').length === 2);
  process.kill(arbiter!.pid, 'SIGKILL');
  await seen.until('the dirty arbiter is another, with workers', () => {
    const [now] = seen.roots('dirtyArbiter');
    return now && now.pid !== arbiter!.pid && seen.roots('dirtyWorker').length === 2;
  });
});

test('machines of the app join, without what is named like a secret or is one', async (t) => {
  const env = { ...environment, DOOR_SECRET: 'open-sesame-7' };
  const server = await controlled(t, ['-w', '1', '--env', 'PIN_OF_DOOR=1234-5678'], {
    app: fixture('own-machine.mjs'),
    env,
  });
  await server.server.get('/push');
  const seen = await watch(t, server);
  const door = await seen.until('it is seen', () =>
    seen.state.actors.find(({ machine }) => machine === 'door'),
  );
  assert.equal(door.user, true);
  assert.equal(door.name, 'front');
  assert.equal(seen.board.actor(door.parent ?? '')?.machine, 'worker');
  assert.equal(door.value, 'open');
  assert.deepEqual(Object.keys((door.definition as { states: object }).states), ['closed', 'open', 'gone']);
  await server.server.get('/push?text=the-pin-is-1234-5678-indeed');
  const step = await seen.until('it moves', () => all(seen, 'step').find(({ id }) => id === door.id));
  assert.equal(step.value, 'closed');
  const told = JSON.stringify([seen.state, seen.records]);
  for (const secret of ['sesame-sesame', 'open-sesame-7', 'never-shown', '1234-5678'])
    assert.equal(told.includes(secret), false, secret);
  assert.match(told, /the-pin-is-\*\*\*-indeed/);
  await server.server.get('/push');
  await server.server.get('/end');
  await seen.until('it ends', () => all(seen, 'gone').some(({ id }) => id === door.id));
  await server.server.get('/anew');
  await seen.until('another is seen', () =>
    seen.state.actors.some(({ machine, id }) => machine === 'door' && id !== door.id),
  );
});

test('a process that does too much at once loses records, says so, and is right again', async (t) => {
  const server = await controlled(t, ['-w', '1'], { app: fixture('own-machine.mjs'), env: environment });
  const seen = await watch(t, server);
  await seen.until('it is seen', () => seen.state.actors.some(({ machine }) => machine === 'door'));
  await server.server.get('/push?times=20001');
  await seen.until('losses are told', () => all(seen, 'lost').length > 0);
  await seen.until('its state is right', () =>
    seen.state.actors.some(({ machine, value }) => machine === 'door' && value === 'open'),
  );
  const { seq } = seen;
  await server.server.get('/push');
  await seen.until(
    'it is followed again',
    () =>
      seen.seq > seq &&
      seen.state.actors.some(({ machine, value }) => machine === 'door' && value === 'closed'),
  );
  assert.equal(server.server.ready().length, 1, 'and lives');
});

test('when the last watcher leaves, nothing is attached any more, and the next one begins anew', async (t) => {
  const server = await controlled(t, ['-w', '1'], { app: fixture('own-machine.mjs'), env: environment });
  const first = await watch(t, server);
  await first.until('it is seen', () => first.state.actors.some(({ machine }) => machine === 'door'));
  first.client.destroy();
  await eventually('its session has ended', async () => (await server.ask('show machine')).count === 5);
  await server.server.get('/push?times=5000');
  const next = await watch(t, server);
  await next.until('it is seen', () => next.state.actors.some(({ machine }) => machine === 'door'));
  assert.deepEqual(all(next, 'lost'), []);
  assert.deepEqual(
    all(next, 'step').filter(({ id }) => !id.startsWith(`${server.server.pid}/`)),
    [],
  );
});
