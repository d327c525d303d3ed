/**
 * What a real server tells in the words of `@statelyai/inspect`, read by that package's own client: so what reads its protocol
 * can show a whole server.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  createWebSocketReceiver,
  type StatelyActorEvent,
  type StatelyInspectionEvent,
  type StatelySnapshotEvent,
} from '@statelyai/inspect';
import { type AnyStateMachine, createMachine, initialTransition } from 'xstate';
import { pathOf } from '../../src/actors/control/scene.ts';
import { dirtyServer, environment, WORK } from './dirty-server.ts';
import { eventually, fixture, type Server, Site, serve } from './harness.ts';
import { inspectorOf, openSocket, watchPage } from './inspected.ts';

const HERE = ['--inspector', '127.0.0.1:0'];

interface Shown {
  status: string;
  value: unknown;
  context: object;
  children: Record<string, { id: string }>;
}

/** Everything that Stately's receiver was told, in order. The server ends it. */
class Told {
  readonly events: StatelyInspectionEvent[] = [];

  constructor(url: URL) {
    const server = String(new URL('/stately', url)).replace(/^http/, 'ws');
    createWebSocketReceiver({ server }).subscribe((event) => {
      this.events.push(event);
    });
  }

  get actors(): StatelyActorEvent[] {
    return this.events.filter((event) => event.type === '@xstate.actor');
  }

  get snapshots(): StatelySnapshotEvent[] {
    return this.events.filter((event) => event.type === '@xstate.snapshot');
  }

  actor(id: string | undefined): StatelyActorEvent | undefined {
    return this.actors.findLast(({ sessionId }) => sessionId === id);
  }

  /** The roots of processes below the arbiter: of which a process is, its session id says. */
  roots(machine: string): StatelyActorEvent[] {
    return this.actors.filter(({ definition }) => definitionOf(definition)['id'] === machine);
  }

  /** What one actor was shown to be, one after the other; the same twice is once. */
  states(id: string): string[] {
    return this.snapshots
      .filter(({ sessionId }) => sessionId === id)
      .map(({ snapshot }) => pathOf(shown(snapshot).value))
      .filter((state, index, all) => state !== all[index - 1]);
  }

  /** Actors that live. */
  living(): string[] {
    const last = new Map(this.snapshots.map(({ sessionId, snapshot }) => [sessionId, shown(snapshot)]));
    // That an actor has ended is said by the event.
    const ended = new Set(
      this.snapshots.flatMap(({ sessionId, event }) => (event.type === 'xstate.stop' ? sessionId : [])),
    );
    return [...last.keys()].filter((id) => !ended.has(id));
  }

  until<T>(what: string, condition: (told: this) => T): Promise<NonNullable<T>> {
    return eventually(what, () => condition(this));
  }
}

const shown = (snapshot: unknown): Shown => snapshot as Shown;
const definitionOf = (text: string | undefined): Record<string, unknown> =>
  JSON.parse(text ?? 'null') as Record<string, unknown>;
const pidOf = (sessionId: string): number => Number(sessionId.split('/')[0]);

async function told(server: Server): Promise<Told> {
  return new Told(await inspectorOf(server));
}

test('a whole server is one tree: ids are unique over processes, and each process hangs below its child machine', async (t) => {
  const { server } = await dirtyServer(t, [...HERE, '-w', '2', '--dirty-app', WORK, '--dirty-workers', '1']);
  const stately = await told(server);
  await stately.until('all processes are told of', () => {
    const pids = new Set(stately.actors.map(({ sessionId }) => pidOf(sessionId)));
    return pids.size === 5;
  });
  const { actors } = stately;
  const ids = actors.map(({ sessionId }) => sessionId);
  assert.equal(new Set(ids).size, ids.length, 'each is told of once');
  const [arbiter] = stately.roots('arbiter');
  assert.equal(pidOf(arbiter!.sessionId), server.pid);
  assert.equal(arbiter!.parentId, undefined);
  for (const { rootId, sessionId, parentId, createdAt, _version } of actors) {
    assert.equal(rootId, arbiter!.sessionId);
    assert.match(createdAt, /^\d{13}$/);
    assert.match(_version, /^\d+\.\d+\.\d+$/);
    if (sessionId === arbiter!.sessionId) continue;
    const at = actors.findIndex((one) => one.sessionId === parentId);
    assert.ok(at >= 0 && at < ids.indexOf(sessionId), `${sessionId} comes after its parent ${parentId}`);
  }
  const workers = stately.roots('worker');
  assert.equal(workers.length, 3);
  for (const one of [...workers, ...stately.roots('dirtyArbiter')]) {
    const child = stately.actor(one.parentId)!;
    assert.equal(definitionOf(child.definition)['id'], 'child');
    assert.equal((shown(child.snapshot).context as { pid: number }).pid, pidOf(one.sessionId));
    assert.notEqual(pidOf(child.sessionId), pidOf(one.sessionId), 'it is in another process');
  }
});

test('definitions are complete: XState makes machines of them', async (t) => {
  const server = await serve(t, fixture('own-machine.mjs'), [...HERE, '-w', '1'], { env: environment });
  await server.get('/push');
  const stately = await told(server);
  await stately.until('the app has a machine', () => stately.roots('door').length === 1);
  const made = (name: string): AnyStateMachine =>
    createMachine(definitionOf(stately.roots(name)[0]!.definition));
  const door = made('door');
  const [closed] = initialTransition(door);
  assert.equal(closed.value, 'closed');
  assert.equal((shown(stately.roots('door')[0]!.snapshot).context as { password: string }).password, '***');
  const [front] = stately.roots('door');
  assert.equal(definitionOf(stately.actor(front!.parentId)!.definition)['id'], 'worker');
  // Every state that is shown is one of the machine that is told.
  for (const name of ['arbiter', 'pool', 'child', 'worker']) {
    const machine = made(name);
    const [{ snapshot }] = stately.roots(name) as [StatelyActorEvent];
    assert.doesNotThrow(() => machine.getStateNodeById(`${name}`));
    assert.doesNotThrow(
      () => machine.resolveState({ value: shown(snapshot).value as string, context: {} }),
      name,
    );
  }
});

test('snapshots come in order: each worker of a reload boots, serves and drains', async (t) => {
  const site = new Site(t);
  const go = site.path('go');
  site.write('go', '');
  const server = await serve(t, fixture('waits-to-load.mjs'), [...HERE, '-w', '1'], { env: { GO: go } });
  const stately = await told(server);
  await stately.until('the worker is told of', () => stately.roots('worker').length === 1);
  // The next one has not loaded its app before it is watched.
  site.remove('go');
  const from = server.mark();
  server.signal('SIGHUP');
  const second = await stately.until('its successor is told of', () => stately.roots('worker')[1]);
  await stately.until('it boots', () => stately.states(second.sessionId).length > 0);
  site.write('go', '');
  await server.told(/^reload done/, from);
  await server.reload();
  const [first] = stately.roots('worker') as [StatelyActorEvent];
  for (const { sessionId } of [first, second])
    await stately.until(`${sessionId} has ended`, () => !stately.living().includes(sessionId));
  const order = ['connecting', 'starting', 'serving', 'draining', 'closing', 'gone'];
  const rank = (state: string): number => order.findLastIndex((name) => state.includes(name));
  const [seen, later] = [second, first].map(({ sessionId }) => stately.states(sessionId));
  for (const states of [seen!, later!]) {
    const ranks = states.map(rank);
    assert.equal(ranks.includes(-1), false, states.join(', '));
    assert.deepEqual(
      ranks,
      ranks.toSorted((a, b) => a - b),
      states.join(', '),
    );
  }
  for (const name of ['starting', 'serving', 'draining'])
    assert.ok(
      seen!.some((state) => state.includes(name)),
      `${name} in ${seen!.join(', ')}`,
    );
});

test('one who comes late is first told of everything that is at present', async (t) => {
  const server = await serve(t, fixture('app.mjs'), [...HERE, '-w', '1']);
  const url = await inspectorOf(server);
  const page = await watchPage(t, url);
  await page.until('it sees all', () => page.isLive && page.roots('web').length === 1);
  await server.reload();
  server.signal('SIGTTIN');
  await server.settled(2);
  await page.until('both are seen to serve', () => {
    const roots = page.roots('web');
    return roots.length === 2 && roots.every(({ value }) => pathOf(value).includes('serving'));
  });
  const gone = await page.until('the first one is gone', () => {
    const pids = page.records.flatMap((one) => (one.t === 'ended' ? one.pid : []));
    return pids.length === 1 ? pids : undefined;
  });
  const late = new Told(url);
  const known = page.state.actors.filter(({ machine }) => machine !== null).map(({ id }) => id);
  await late.until('everybody who lives is told of', () => known.every((id) => late.actor(id)));
  assert.equal(late.events[0]!.type, '@xstate.actor', 'what was is not repeated');
  assert.equal(
    late.actors.some(({ sessionId }) => gone.includes(pidOf(sessionId))),
    false,
  );
  for (const { snapshot, sessionId } of late.roots('worker'))
    assert.equal(pathOf(shown(snapshot).value), pathOf(page.board.actor(sessionId)!.value));
});

test('who says anything there is turned away, and others are told on', async (t) => {
  const server = await serve(t, fixture('app.mjs'), [...HERE, '-w', '1']);
  const url = await inspectorOf(server);
  const stately = new Told(url);
  await stately.until('the worker is told of', () => stately.roots('worker').length === 1);
  const socket = await openSocket(t, new URL('/stately', url));
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  socket.send('hello');
  assert.equal(await closed, 1008);
  server.signal('SIGTTIN');
  await stately.until('another worker is told of', () => stately.roots('worker').length === 2);
});

test('the page with the hosted inspector runs no script but its own, and frames nothing but Stately', async (t) => {
  const server = await serve(t, fixture('app.mjs'), HERE);
  const port = Number((await inspectorOf(server)).port);
  const { status, headers, text } = await server.get('/stately', { port });
  assert.equal(status, 200);
  const policy = new Map(
    String(headers['content-security-policy'])
      .split(';')
      .map((part) => part.trim().split(/ (.*)/s) as [string, string]),
  );
  assert.equal(policy.get('default-src'), "'none'");
  assert.equal(policy.get('frame-src'), 'https://stately.ai');
  assert.equal(policy.get('script-src'), "'self'");
  assert.equal(policy.get('connect-src'), "'self'");
  assert.equal(policy.get('frame-ancestors'), "'none'");
  for (const [, attributes, body] of text.matchAll(/<script\b([^>]*)>([\s\S]*?)<\/script>/g)) {
    assert.match(attributes!, /\bsrc="\/[^/"]/);
    assert.equal(body, '');
  }
  assert.doesNotMatch(text, /\son\w+=|<style|style=|javascript:/i);
  const script = await server.get('/stately.js', { port });
  assert.match(String(script.headers['content-type']), /^text\/javascript/);
  // What is said to the frame goes to Stately's origin only.
  assert.match(script.text, /postMessage\([^)]*\), HOST\)/);
  assert.match(script.text, /^const HOST = 'https:\/\/stately\.ai';/);
  const { version } = JSON.parse(
    readFileSync(new URL('../../node_modules/@statelyai/inspect/package.json', import.meta.url), 'utf8'),
  ) as { version: string };
  const stately = await told(server);
  const { _version } = await stately.until('it is told', () => stately.events[0]);
  assert.equal(_version, version, 'the protocol is that of the package which reads it here');
});
