/** A user's machine from its definition, compared with what XState itself makes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnyStateNode, createMachine } from 'xstate';
import { isTaken, type OutlineNode, outlineOf } from '../../src/inspector/model/outline.ts';

const config = {
  id: 'door',
  initial: 'closed',
  on: { reset: '.closed' },
  states: {
    closed: { id: 'shut', on: { open: 'opened', knock: {} }, after: { 5000: 'locked' } },
    opened: {
      initial: 'wide',
      states: { wide: { on: { push: [{ guard: 'canMove', target: 'narrow' }, '#shut'] } }, narrow: {} },
      invoke: { src: 'hinge', onDone: '#door.opened.narrow', onError: { target: 'broken', actions: 'cry' } },
      onDone: 'closed',
    },
    locked: { always: { guard: () => true, target: 'broken' } },
    broken: { type: 'final' },
    both: { type: 'parallel', states: { left: {}, right: {} } },
  },
} as const;

const flat = (node: OutlineNode): OutlineNode[] => [node, ...node.children.flatMap(flat)];
const definition = JSON.parse(
  JSON.stringify(config, (_, value) => (typeof value === 'function' ? '[function]' : value)),
);

test('each state says what leads where', () => {
  const root = outlineOf('door', definition)!;
  const lines = (title: string): string[] =>
    flat(root)
      .find((node) => node.title === title)!
      .lines.map(
        ({ title, guard, targetText }) => `${title}${guard ? ` [${guard}]` : ''} > ${targetText || '-'}`,
      );
  assert.deepEqual(lines('door'), ['reset > .closed']);
  assert.deepEqual(lines('closed'), ['open > opened', 'knock > -', 'after 5000 > locked']);
  assert.deepEqual(lines('wide'), ['push [canMove] > narrow', 'push > #shut']);
  assert.deepEqual(lines('opened'), [
    'hinge done > #door.opened.narrow',
    'hinge threw > broken',
    'done > closed',
  ]);
  assert.deepEqual(lines('locked'), ['always [guard] > broken']);
  const initial = flat(root).filter(({ isInitial }) => isInitial);
  assert.deepEqual(
    initial.map(({ title }) => title),
    ['closed', 'wide'],
  );
  assert.deepEqual(root.children[1]!.runs, ['hinge']);
});

test('ids, events and targets are those of XState', () => {
  const machine = createMachine(config as never);
  const root = outlineOf('door', definition)!;
  const real = (node: AnyStateNode): AnyStateNode[] => [node, ...Object.values(node.states).flatMap(real)];
  const told = flat(root);
  for (const node of real(machine.root)) {
    const outline = told.find(({ id }) => id === node.id)!;
    assert.ok(outline, node.id);
    assert.equal(outline.path, ['door', ...node.path].join('.'));
    const transitions = [...node.transitions.values(), node.always ?? []].flat();
    assert.equal(outline.lines.length, transitions.length, node.id);
    for (const { eventType, source, target } of transitions) {
      const taken = { source: source.id, target: (target ?? []).map(({ id }) => id), event: eventType };
      const lines = told.flatMap((one) => one.lines.filter((line) => isTaken(line, one, [taken])));
      assert.equal(lines.length, 1, `${taken.source} ${taken.event}`);
    }
  }
});

test('what is no definition, or was cut, is no end of the page', () => {
  for (const some of [null, '[too large]', [], 7]) assert.equal(outlineOf('x', some), null);
  const cut = {
    states: { a: '[object]', b: { on: '[object]', states: 'x', invoke: ['x'], initial: 3 } },
    '…': '[9 more]',
  };
  const root = outlineOf('x', cut)!;
  assert.deepEqual(
    root.children.map(({ title }) => title),
    ['b'],
  );
  assert.deepEqual(outlineOf('x', { on: { go: 'nowhere' } })!.lines[0]!.targets, null);
});
