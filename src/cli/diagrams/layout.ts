/** Where everything in a chart goes: boxes by their texts, the rest by ELK's layered layout. Development only. */

import elk from 'elkjs/lib/elk.bundled.js';
import type { ElkNode } from 'elkjs/lib/elk-api.js';
import { type Chart, type ChartEdge, type ChartState, condition, type Step } from './chart.ts';
import { textWidth } from './text-width.ts';

/** A piece of a line; `faint` is for what is said besides. */
export interface Span {
  text: string;
  style: 'plain' | 'faint';
}
export interface Line {
  spans: Span[];
  /** The transitions that the line tells of. */
  steps: Step[];
  width: number;
}
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}
export interface PlacedState extends Box {
  state: ChartState;
  lines: Line[];
  headerHeight: number;
  /** One of several that are active together. */
  isRegion: boolean;
  depth: number;
}
export interface PlacedEdge {
  edge: ChartEdge;
  /** An orthogonal line from the source to the target. */
  points: { x: number; y: number }[];
  label: (Box & { lines: Line[] }) | null;
}
export interface PlacedChart {
  chart: Chart;
  width: number;
  height: number;
  states: PlacedState[];
  edges: PlacedEdge[];
  /** The marks from which the initial states are entered. */
  initials: { x: number; y: number; of: string; points: { x: number; y: number }[] }[];
  /** The marks that stand for any state within `of`. */
  anys: (Box & { of: string })[];
}

export const TITLE_SIZE = 13;
export const TEXT_SIZE = 11;
export const LINE_HEIGHT = 15;
export const PADDING = 10;
export const TITLE_HEIGHT = 20;
export const DOT_SIZE = 10;
export const ANY_WIDTH = 34;
export const ANY_HEIGHT = 18;
const LINE_WIDTH_MAX = { leaf: 350, around: 440 };

const plain = (text: string): Span => ({ text, style: 'plain' });
const faint = (text: string): Span => ({ text, style: 'faint' });
const widthOf = (spans: readonly Span[]): number =>
  textWidth(spans.map(({ text }) => text).join(''), TEXT_SIZE);

/** Words as lines of limited width; what does not fit goes on in a line of its own. */
function wrap(words: readonly Span[], steps: Step[], widthMax: number): Line[] {
  const lines: Line[] = [];
  let spans: Span[] = [];
  for (const word of words) {
    if (spans.length > 0 && widthOf([...spans, word]) > widthMax) {
      lines.push({ spans, steps: [], width: widthOf(spans) });
      spans = [faint('    '), { ...word, text: word.text.trimStart() }];
    } else spans.push(word);
  }
  lines.push({ spans, steps: [], width: widthOf(spans) });
  lines[0]!.steps = steps;
  return lines;
}

/** Names with commas behind them, so that no line begins with one. */
const listed = (names: readonly string[], span: (text: string) => Span): Span[] =>
  names.map((name, index) => span(index < names.length - 1 ? `${name}, ` : name));

/** What is done without leaving: events with the same guard and the same actions share a line. */
function innerLines(steps: readonly Step[], mark: string, widthMax: number): Line[] {
  const groups = new Map<string, Step[]>();
  for (const step of steps) {
    const name = `${condition(step)} / ${step.actions.join(', ')}`;
    groups.set(name, [...(groups.get(name) ?? []), step]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const guard = condition(first!);
    const actions = first!.actions.map((action, index) => (index === 0 ? ` / ${action}` : action));
    const words = [
      ...(mark ? [plain(`${mark} `)] : []),
      ...listed(
        group.map(({ text }) => text),
        plain,
      ),
      ...(guard ? [faint(guard)] : []),
      ...listed(actions, faint),
    ];
    return wrap(words, group, widthMax);
  });
}

export function linesOf(state: ChartState): Line[] {
  const widthMax = state.states.length > 0 ? LINE_WIDTH_MAX.around : LINE_WIDTH_MAX.leaf;
  const about = (what: string, names: readonly string[]): Line[] =>
    names.length === 0 ? [] : wrap([faint(`${what} / `), ...listed(names, plain)], [], widthMax);
  return [
    ...about('runs', state.invokes),
    ...about('entry', state.entry),
    ...about('exit', state.exit),
    ...innerLines(state.again, '↻', widthMax),
    ...innerLines(state.inner, '', widthMax),
  ];
}

const edgeLines = (edge: ChartEdge): Line[] =>
  edge.steps.map((step) => {
    const guard = condition(step);
    const spans = guard ? [plain(step.text), faint(guard)] : [plain(step.text)];
    return { spans, steps: [step], width: widthOf(spans) };
  });

const headerHeight = (lines: readonly Line[]): number =>
  TITLE_HEIGHT + (lines.length > 0 ? lines.length * LINE_HEIGHT + 6 : 0) + 6;

export const headerWidth = (state: ChartState, lines: readonly Line[]): number =>
  Math.ceil(
    Math.max(
      textWidth(state.key, TITLE_SIZE, 'bold') + (state.kind === 'final' ? 24 : 0),
      ...lines.map(({ width }) => width),
      40,
    ),
  ) +
  2 * PADDING;

const isWithin = (inner: string, outer: string): boolean => inner.startsWith(`${outer}.`);
const initialMark = (id: string): string => `${id}#initial`;
/** Where what may happen in any state of a composite goes out from, if it leads to a state within. */
const anyMark = (id: string): string => `${id}#any`;

const OPTIONS: Record<string, string> = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.edgeCoords': 'ROOT',
  'elk.json.shapeCoords': 'ROOT',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.thoroughness': '40',
  'elk.randomSeed': '1',
};
const SPACING: Record<string, string> = {
  'elk.spacing.nodeNode': '28',
  'elk.spacing.edgeNode': '14',
  'elk.spacing.edgeEdge': '12',
  'elk.spacing.edgeLabel': '4',
  'elk.spacing.labelNode': '8',
  'elk.layered.spacing.nodeNodeBetweenLayers': '26',
  'elk.layered.spacing.edgeNodeBetweenLayers': '12',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '10',
};

/** Which edges lead back, against the order in which the states are declared: they are laid out the other way round. */
function backEdges(chart: Chart): Set<ChartEdge> {
  const order = new Map<string, number>();
  const visit = (state: ChartState): void => {
    order.set(state.id, order.size);
    state.states.forEach(visit);
  };
  visit(chart.root);
  return new Set(chart.edges.filter(({ source, target }) => order.get(target)! < order.get(source)!));
}

/** Twice where need be: ELK makes a box no wider for its heading, so those that are too narrow get wider margins. */
export async function layoutOf(chart: Chart): Promise<PlacedChart> {
  const margins = new Map<string, number>();
  for (let tries = 0; ; tries++) {
    const placed = await layoutWith(chart, margins);
    const narrow = placed.states.filter(({ state, lines, width }) => width < headerWidth(state, lines));
    if (narrow.length === 0 || tries === 3) return placed;
    for (const { state, lines, width } of narrow)
      margins.set(
        state.id,
        (margins.get(state.id) ?? 0) + Math.ceil((headerWidth(state, lines) - width) / 2),
      );
  }
}

async function layoutWith(chart: Chart, margins: ReadonlyMap<string, number>): Promise<PlacedChart> {
  const back = backEdges(chart);
  const linesById = new Map<string, Line[]>();
  const nodeOf = (state: ChartState): ElkNode => {
    const lines = linesOf(state);
    linesById.set(state.id, lines);
    const width = headerWidth(state, lines);
    const height = headerHeight(lines);
    if (state.states.length === 0) return { id: state.id, width, height };
    const margin = 16 + (margins.get(state.id) ?? 0);
    const first = { 'elk.layered.layering.layerConstraint': 'FIRST' };
    const initial = state.initial
      ? [{ id: initialMark(state.id), width: DOT_SIZE, height: DOT_SIZE, layoutOptions: first }]
      : [];
    const any = chart.edges.some(({ source, target }) => source === state.id && isWithin(target, source))
      ? [{ id: anyMark(state.id), width: ANY_WIDTH, height: ANY_HEIGHT, layoutOptions: first }]
      : [];
    // The first region stands above the others: side by side they would be too wide to look at.
    const [top, ...below] = state.kind === 'parallel' ? state.states : [];
    const edges = below.map(({ id }) => ({ id: `below ${id}`, sources: [top!.id], targets: [id] }));
    return {
      id: state.id,
      layoutOptions: {
        ...OPTIONS,
        ...SPACING,
        'elk.padding': `[top=${height + 8},left=${margin},bottom=16,right=${margin}]`,
      },
      children: [...initial, ...any, ...state.states.map(nodeOf)],
      edges,
    };
  };
  const top = chart.root;
  const initials: { of: string; target: string }[] = [];
  const collect = (state: ChartState): void => {
    if (state.initial) initials.push({ of: state.id, target: state.initial });
    state.states.forEach(collect);
  };
  collect(top);

  const graph: ElkNode = {
    id: 'picture',
    layoutOptions: { ...OPTIONS, ...SPACING, 'elk.padding': '[top=1,left=1,bottom=1,right=1]' },
    children: [nodeOf(top)],
    edges: [
      ...initials.map(({ of, target }) => ({
        id: `initial ${of}`,
        sources: [initialMark(of)],
        targets: [target],
        layoutOptions: { 'elk.layered.priority.straightness': '10' },
      })),
      ...chart.edges.map((edge, index) => {
        const lines = edgeLines(edge);
        // What goes back to a state around the source goes to its initial mark: there it goes on.
        const target = isWithin(edge.source, edge.target) ? initialMark(edge.target) : edge.target;
        const width = Math.max(...lines.map((line) => line.width)) + 6;
        const source = isWithin(edge.target, edge.source) ? anyMark(edge.source) : edge.source;
        return {
          id: `edge ${index}`,
          sources: [back.has(edge) ? target : source],
          targets: [back.has(edge) ? source : target],
          labels: [
            {
              id: `label ${index}`,
              text: 'label',
              width,
              height: lines.length * LINE_HEIGHT,
              layoutOptions: { 'elk.edgeLabels.inline': 'true', 'elk.edgeLabels.placement': 'CENTER' },
            },
          ],
        };
      }),
    ],
  };
  const placed = await new (elk as unknown as typeof elk.default)().layout(graph);
  const round = (value: number | undefined): number => Math.round((value ?? 0) * 2) / 2;

  const states: PlacedState[] = [];
  const marks = new Map<string, Box>();
  const byId = new Map<string, ChartState>();
  const index = (state: ChartState): void => {
    byId.set(state.id, state);
    state.states.forEach(index);
  };
  index(top);
  const visit = (node: ElkNode, depth: number, isRegion: boolean): void => {
    const box = { x: round(node.x), y: round(node.y), width: round(node.width), height: round(node.height) };
    const state = byId.get(node.id);
    if (!state) {
      marks.set(node.id, box);
      return;
    }
    const lines = linesById.get(node.id)!;
    states.push({ ...box, state, lines, headerHeight: headerHeight(lines), isRegion, depth });
    for (const inner of node.children ?? []) visit(inner, depth + 1, state.kind === 'parallel');
  };
  for (const node of placed.children ?? []) visit(node, 0, false);

  const pointsOf = (id: string): { x: number; y: number }[] => {
    const edge = placed.edges!.find((one) => one.id === id)!;
    return (edge.sections ?? []).flatMap(({ startPoint, bendPoints = [], endPoint }) =>
      [startPoint, ...bendPoints, endPoint].map(({ x, y }) => ({ x: round(x), y: round(y) })),
    );
  };
  return {
    chart,
    width: Math.ceil(placed.width ?? 0),
    height: Math.ceil(placed.height ?? 0),
    states,
    edges: chart.edges.map((edge, number) => {
      const label = placed.edges!.find(({ id }) => id === `edge ${number}`)!.labels?.[0];
      return {
        edge,
        points: back.has(edge) ? pointsOf(`edge ${number}`).reverse() : pointsOf(`edge ${number}`),
        label: label
          ? {
              x: round(label.x),
              y: round(label.y),
              width: round(label.width),
              height: round(label.height),
              lines: edgeLines(edge),
            }
          : null,
      };
    }),
    anys: [...marks].flatMap(([id, mark]) => (id.endsWith('#any') ? [{ ...mark, of: id.slice(0, -4) }] : [])),
    initials: initials.map(({ of }) => {
      const mark = marks.get(initialMark(of))!;
      return { of, x: mark.x + DOT_SIZE / 2, y: mark.y + DOT_SIZE / 2, points: pointsOf(`initial ${of}`) };
    }),
  };
}
