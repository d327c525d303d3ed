/** The pictures in diagrams/: that they are up to date, that nothing is missing, and that everything can be read. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allDiagrams, storedStory } from '../src/cli/diagrams/all.ts';
import { type ChartState, chartOf } from '../src/cli/diagrams/chart.ts';
import { chartSvg } from '../src/cli/diagrams/chart-svg.ts';
import {
  type Box,
  COLUMN_WIDTH,
  headerWidth,
  layoutOf,
  type PlacedChart,
} from '../src/cli/diagrams/layout.ts';
import { MACHINES } from '../src/cli/diagrams/machines.ts';
import { processTree } from '../src/cli/diagrams/process-tree.ts';
import { essenceOf } from '../src/cli/diagrams/recording/essence.ts';
import { SCENES } from '../src/cli/diagrams/recording/scenes.ts';
import { columnsOf, messageLines } from '../src/cli/diagrams/sequence-layout.ts';
import { textWidth } from '../src/cli/diagrams/text-width.ts';
import { EVENT_TEXTS } from '../src/machines/events/texts.ts';

const placedByName = new Map<string, PlacedChart>();
for (const [name, machine] of Object.entries(MACHINES))
  placedByName.set(name, await layoutOf(chartOf(machine)));

/** The machines, and the tree of processes, which is drawn in the same way. */
const charts = new Map([...placedByName, ['process-tree', await layoutOf(processTree())]] as const);

interface Point {
  x: number;
  y: number;
}

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const within = (a: Box, b: Box): boolean =>
  a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height;
/** The parts of a line, as boxes without breadth. */
const parts = (points: readonly Point[]): Box[] =>
  points.slice(1).map((to, index) => {
    const from = points[index]!;
    return {
      x: Math.min(from.x, to.x),
      y: Math.min(from.y, to.y),
      width: Math.abs(from.x - to.x) || 0.01,
      height: Math.abs(from.y - to.y) || 0.01,
    };
  });

test('diagrams/ is what `npm run diagrams` writes', async () => {
  const files = await allDiagrams();
  const there = readdirSync('diagrams').filter((name) => /\.(svg|mmd|md)$/.test(name));
  assert.deepEqual(there.sort(), [...files.keys()].sort());
  const recordings = Object.keys(SCENES).map((name) => `${name}.json`);
  assert.deepEqual(readdirSync('diagrams/recordings').sort(), recordings.sort());
  for (const [name, text] of files)
    assert.ok(
      readFileSync(`diagrams/${name}`, 'utf8') === text,
      `diagrams/${name} is not up to date: run \`npm run diagrams\``,
    );
});

test('every state and every transition is in its picture', () => {
  for (const [name, placed] of placedByName) {
    const picture = chartSvg(name, placed);
    const told = new Set(
      [...picture.matchAll(/<text data-source="([^"]+)" data-event="([^"]+)"/g)].flatMap(
        ([, state, events]) => events!.split(' ').map((event) => `${state} ${event}`),
      ),
    );
    const visit = (state: ChartState): void => {
      assert.ok(picture.includes(` data-state="${state.id}"`), state.id);
      for (const { event } of [...state.inner, ...state.again])
        assert.ok(told.has(`${state.id} ${event}`), `${state.id}: ${event}`);
      state.states.forEach(visit);
    };
    visit(placed.chart.root);
    for (const { source, target, steps } of placed.chart.edges) {
      const events = [...new Set(steps.map(({ event }) => event))].join(' ');
      assert.ok(
        picture.includes(`data-source="${source}" data-event="${events}" data-target="${target}"`),
        `${source} -> ${target}`,
      );
    }
    // What XState calls its timers is for inspectors; people read the name of the delay.
    assert.doesNotMatch(picture.replace(/data-event="[^"]*"/g, ''), /xstate\./);
  }
});

test('a transition says when it is taken, what it does and what its event means', () => {
  const picture = chartSvg('child', placedByName.get('child')!);
  assert.match(picture, /after graceLimit/);
  assert.match(
    picture,
    /worker\.draining \/ becomeLeaving\(terminated\), tellLeaving: The process takes no more work/,
  );
  const worker = chartSvg('worker', placedByName.get('worker')!);
  assert.match(worker, />claim done</);
  assert.match(worker, />claim threw</);
});

test('lines are orthogonal, and none crosses a label or a text', () => {
  for (const [name, { edges, initials, states, anys }] of charts) {
    const lines = [
      ...edges.map(({ edge, points }) => ({ what: `${edge.source} -> ${edge.target}`, points })),
      ...initials.map(({ of, points }) => ({ what: `the initial mark of ${of}`, points })),
    ];
    for (const { what, points } of lines) {
      assert.ok(points.length >= 2, `${name}: ${what} has no line`);
      for (const [index, to] of points.slice(1).entries()) {
        const from = points[index]!;
        assert.ok(from.x === to.x || from.y === to.y, `${name}: ${what} is not orthogonal`);
      }
      for (const { edge, label } of edges)
        if (label && `${edge.source} -> ${edge.target}` !== what)
          for (const part of parts(points))
            assert.ok(
              !overlap(part, label),
              `${name}: ${what} crosses the label of ${edge.source} -> ${edge.target}`,
            );
      for (const { state, x, y, width, headerHeight } of states)
        for (const part of parts(points))
          assert.ok(
            !overlap(part, { x: x + 1, y: y + 1, width: width - 2, height: headerHeight - 2 }),
            `${name}: ${what} crosses the text of ${state.id}`,
          );
    }
    const labels = edges.flatMap(({ edge, label }) => (label ? [{ what: edge.source, box: label }] : []));
    for (const [index, { what, box }] of labels.entries()) {
      for (const other of labels.slice(index + 1))
        assert.ok(!overlap(box, other.box), `${name}: labels of ${what} and ${other.what}`);
      for (const any of anys) assert.ok(!overlap(box, any), `${name}: the label of ${what} is on a mark`);
      for (const { state, x, y, width, headerHeight } of states)
        assert.ok(
          !overlap(box, { x, y, width, height: headerHeight }),
          `${name}: the label of ${what} is on ${state.id}`,
        );
    }
  }
});

test('no line steps aside by a hair', () => {
  for (const [name, { edges }] of charts)
    for (const { edge, points } of edges)
      for (const part of parts(points).slice(1, -1))
        assert.ok(Math.max(part.width, part.height) > 2, `${name}: ${edge.source} -> ${edge.target}`);
});

test('every picture fits a column of text at its own size', () => {
  for (const name of readdirSync('diagrams').filter((name) => name.endsWith('.svg'))) {
    const [, width] = /width="(\d+)"/.exec(readFileSync(`diagrams/${name}`, 'utf8'))!;
    assert.ok(Number(width) <= COLUMN_WIDTH, `${name} is ${width} wide`);
  }
});

test('boxes hold what is in them and do not overlap', () => {
  for (const { chart, states, width, height } of charts.values()) {
    const boxes = new Map(states.map((placed) => [placed.state.id, placed]));
    const visit = (state: ChartState): void => {
      const box = boxes.get(state.id)!;
      assert.ok(box.width >= headerWidth(state, box.lines), `${state.id} is too narrow for its text`);
      assert.ok(within(box, { x: 0, y: 0, width, height }), `${state.id} is outside of the picture`);
      for (const [index, inner] of state.states.entries()) {
        const body = { ...box, y: box.y + box.headerHeight, height: box.height - box.headerHeight };
        assert.ok(within(boxes.get(inner.id)!, body), `${inner.id} is not within ${state.id}`);
        for (const other of state.states.slice(index + 1))
          assert.ok(
            !overlap(boxes.get(inner.id)!, boxes.get(other.id)!),
            `${inner.id} and ${other.id} overlap`,
          );
        visit(inner);
      }
    };
    visit(chart.root);
  }
});

test('in a sequence nothing is written over a neighbour', () => {
  for (const name of Object.keys(SCENES)) {
    const story = storedStory(name);
    const { x, left, right, width } = columnsOf(story);
    const index = new Map(story.participants.map((one, position) => [one.name, position]));
    for (const [column, end] of right.entries()) {
      const next = x[column + 1];
      assert.ok(
        x[column]! - left[column]! >= 0 && x[column]! + end <= width,
        `${name}: ${column} is cut off`,
      );
      if (next !== undefined)
        assert.ok(x[column]! + end <= next - left[column + 1]!, `${name}: ${column} is too wide`);
    }
    for (const step of story.steps)
      if (step.kind === 'message' && step.from !== step.to) {
        const [from, to] = [x[index.get(step.from)!]!, x[index.get(step.to)!]!];
        for (const line of messageLines(step.text, Math.abs(from - to)))
          assert.ok(
            textWidth(line, 11) + 16 < Math.abs(from - to),
            `${name}: ${line} is wider than its arrow`,
          );
      }
  }
});

test('a run that tells less, more or something else than the recording is found out', () => {
  for (const name of Object.keys(SCENES)) {
    const story = storedStory(name);
    const essence = JSON.stringify(essenceOf(story));
    for (const [index, step] of story.steps.entries()) {
      const others = [[], [step, step], ...('text' in step ? [[{ ...step, text: 'else' }]] : [])];
      for (const other of others)
        assert.notEqual(
          JSON.stringify(essenceOf({ ...story, steps: story.steps.toSpliced(index, 1, ...other) })),
          essence,
          `${name}: step ${index}`,
        );
    }
  }
});

test('every event is explained in one sentence', () => {
  for (const [event, text] of Object.entries(EVENT_TEXTS)) assert.match(text, /^[A-Z].*[^.]\.$/, event);
});
