/** What is told of a recorded run, where the processes of a slow machine write it down late or in another order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { essenceOf } from '../src/cli/diagrams/recording/essence.ts';
import type { Line } from '../src/cli/diagrams/recording/lines.ts';
import { type Story, storyOf } from '../src/cli/diagrams/recording/story.ts';

type Told = Line extends infer One ? (One extends Line ? Omit<One, 'at'> : never) : never;

const CHILD = 'root/pool/child.1';
const started = (of: string): Told => event('arbiter', of.slice(0, of.lastIndexOf('/')), of, 'xstate.init');
const state = (process: string, of: string, value: object | string, by: string): Told => ({
  what: 'state',
  process,
  of,
  value,
  by,
});
function event(process: string, from: string, to: string, type: string): Told {
  return { what: 'event', process, from, to, type, facts: {} };
}
const sent = (type: string): Told => event('worker 1', 'root', 'root/link', type);
const arrived = (type: string): Told => event('arbiter', `${CHILD}/process`, CHILD, type);
const isReady = state('arbiter', CHILD, { alive: { ready: 'fresh' } }, 'worker.ready');

const storyIn = (order: readonly Told[]): Story =>
  storyOf(order.map((told, at) => ({ ...told, at: at + 1 }) as Line));
const texts = ({ steps }: Story): string[] =>
  steps.map((step) =>
    step.kind === 'message' || step.kind === 'state' ? step.text : `${step.of} ${step.kind}s`,
  );

const BEGIN = [
  started(CHILD),
  state('arbiter', CHILD, { alive: { starting: 'spawned' } }, 'xstate.init'),
  started(`${CHILD}/process`),
];
const serving = state('worker 1', 'root', { alive: { booted: 'serving' } }, 'load done');
const leaving = state('worker 1', 'root', { alive: { booted: { leaving: 'draining' } } }, 'worker.drain');

test('a report is told where it was sent, though its reader was busy for long', () => {
  const story = storyIn([...BEGIN, serving, sent('worker.ready'), leaving, arrived('worker.ready'), isReady]);
  assert.deepEqual(texts(story).slice(-4), [
    'booted.serving',
    'worker.ready',
    'leaving.draining',
    'ready.fresh',
  ]);
});

test('a report that was sent and never arrived is not told', () => {
  assert.ok(!texts(storyIn([...BEGIN, serving, sent('worker.ready')])).includes('worker.ready'));
});

test('what comes from one process keeps its order, whoever writes it down late', () => {
  const quick = [...BEGIN, arrived('worker.hello'), sent('worker.ready'), arrived('worker.ready')];
  const late = [...BEGIN, sent('worker.ready'), arrived('worker.hello'), arrived('worker.ready')];
  assert.deepEqual(texts(storyIn(late)).slice(-2), ['worker.hello', 'worker.ready']);
  assert.deepEqual(essenceOf(storyIn(late)), essenceOf(storyIn(quick)));
});

test('with the root of a process everybody in it ends', () => {
  const story = storyIn([
    ...BEGIN,
    { what: 'done', process: 'you', to: 'arbiter', text: 'SIGKILL', kind: 'signal' },
  ]);
  const ended = story.steps.flatMap((step) => (step.kind === 'end' ? [step.of] : []));
  assert.deepEqual(ended, ['arbiter', 'pool', 'child 1']);
});
