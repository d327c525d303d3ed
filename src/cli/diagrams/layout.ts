/** Where everything in a chart goes: boxes by their texts, the rest by ELK's layered layout. Development only. */

import elk from 'elkjs/lib/elk.bundled.js';
import type { ElkNode } from 'elkjs/lib/elk-api.js';
import type { Chart, ChartEdge, ChartState } from './chart.ts';
import { BROAD, type Breadth, type Line, labelLines, linesOf, NARROW } from './chart-lines.ts';
import type { Point } from './svg.ts';
import { textWidth } from './text-width.ts';

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
  points: Point[];
  label: (Box & { lines: Line[] }) | null;
}
export interface PlacedChart {
  chart: Chart;
  width: number;
  height: number;
  states: PlacedState[];
  edges: PlacedEdge[];
  /** The marks from which the initial states are entered. */
  initials: { x: number; y: number; of: string; points: Point[] }[];
  /** The marks that stand for any state within `of`. */
  anys: (Box & { of: string })[];
}

export const TITLE_SIZE = 13;
export const LINE_HEIGHT = 15;
export const PADDING = 10;
export const TITLE_HEIGHT = 20;
/** Between a box and what is in it. */
const MARGIN = 13;
export const DOT_SIZE = 10;
export const ANY_WIDTH = 34;
export const ANY_HEIGHT = 18;

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
/** A line that steps aside by so little looks like a mistake: it begins, or ends, a little further along the box instead. */
const KINK_MAX = 6;

function straightened(points: Point[], label: Box | null): Point[] {
  const [first, second, third, fourth] = points;
  if (!first || !second || !third || !fourth) return points;
  const isKink = first.x === second.x && third.x === fourth.x && Math.abs(second.x - third.x) <= KINK_MAX;
  const isLabelled =
    label !== null &&
    label.y < Math.max(first.y, second.y) &&
    Math.min(first.y, second.y) < label.y + label.height;
  return isKink && !isLabelled ? [{ x: third.x, y: first.y }, ...points.slice(3)] : points;
}

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
  'elk.layered.nodePlacement.strategy': 'BRANDES_KOEPF',
  'elk.layered.nodePlacement.bk.edgeStraightening': 'IMPROVE_STRAIGHTNESS',
  'elk.layered.thoroughness': '40',
  'elk.randomSeed': '1',
};
/** Between neighbours that are joined by a line across, with its label. */
const ACROSS_WIDTH = '120';
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

/**
 * What stands below what though no arrow says so, since side by side they would be too wide to look at: regions below the
 * first one, a state below the composite before it.
 */
function belowOthers({ kind, states }: ChartState, { edges }: Chart): [above: string, below: string][] {
  const [first, ...others] = states;
  if (kind === 'parallel') return others.map(({ id }) => [first!.id, id]);
  const isOf = (id: string, outer: string): boolean => id === outer || isWithin(id, outer);
  return others.flatMap(({ id }, index): [string, string][] => {
    const before = states[index]!;
    const isLed = edges.some(({ source, target }) => isOf(source, before.id) && isOf(target, id));
    return before.states.length > 0 && !isLed ? [[before.id, id]] : [];
  });
}

/** As broad as a column of text that a page shows: a wider picture is made smaller there, and hard to read. */
export const COLUMN_WIDTH = 840;

export async function layoutOf(chart: Chart): Promise<PlacedChart> {
  const placed = await layoutAs(chart, BROAD);
  return placed.width > COLUMN_WIDTH ? layoutAs(chart, NARROW) : placed;
}

/** Twice where need be: ELK makes a box no wider for its heading, so those that are too narrow get wider margins. */
async function layoutAs(chart: Chart, breadth: Breadth): Promise<PlacedChart> {
  const margins = new Map<string, number>();
  for (let tries = 0; ; tries++) {
    const placed = await layoutWith(chart, breadth, margins);
    const narrow = placed.states.filter(({ state, lines, width }) => width < headerWidth(state, lines));
    if (narrow.length === 0 || tries === 3) return placed;
    for (const { state, lines, width } of narrow)
      margins.set(
        state.id,
        (margins.get(state.id) ?? 0) + Math.ceil((headerWidth(state, lines) - width) / 2),
      );
  }
}

/** A straight line between neighbours, which ELK would put one below the other. */
function acrossEdge(edge: ChartEdge, lines: Line[], states: readonly PlacedState[]): PlacedEdge {
  const [from, to] = [edge.source, edge.target].map((id) => states.find(({ state }) => state.id === id)!);
  const y = Math.round((Math.max(from!.y, to!.y) + Math.min(from!.y + from!.height, to!.y + to!.height)) / 2);
  const start = from!.x + from!.width;
  const width = Math.max(...lines.map((line) => line.width)) + 6;
  const height = lines.length * LINE_HEIGHT;
  const x = Math.round((start + to!.x - width) / 2);
  return {
    edge,
    points: [
      { x: start, y },
      { x: to!.x, y },
    ],
    label: { x, y: y - height / 2, width, height, lines },
  };
}

async function layoutWith(
  chart: Chart,
  breadth: Breadth,
  margins: ReadonlyMap<string, number>,
): Promise<PlacedChart> {
  const back = backEdges(chart);
  const linesById = new Map<string, Line[]>();
  const headerHeightOf = (state: ChartState, lines: readonly Line[]): number =>
    chart.isFrameless && state === chart.root ? 0 : headerHeight(lines);
  const nodeOf = (state: ChartState): ElkNode => {
    const lines = linesOf(state, breadth);
    linesById.set(state.id, lines);
    const width = headerWidth(state, lines);
    const height = headerHeightOf(state, lines);
    if (state.states.length === 0) return { id: state.id, width, height };
    const margin = MARGIN + (margins.get(state.id) ?? 0);
    const first = { 'elk.layered.layering.layerConstraint': 'FIRST' };
    const initial = state.initial
      ? [{ id: initialMark(state.id), width: DOT_SIZE, height: DOT_SIZE, layoutOptions: first }]
      : [];
    const any = chart.edges.some(({ source, target }) => source === state.id && isWithin(target, source))
      ? [{ id: anyMark(state.id), width: ANY_WIDTH, height: ANY_HEIGHT, layoutOptions: first }]
      : [];
    const edges = belowOthers(state, chart).map(([above, below]) => ({
      id: `below ${below}`,
      sources: [above],
      targets: [below],
    }));
    const hasAcross = chart.edges.some(({ source, isAcross }) =>
      state.states.some(({ id }) => isAcross && id === source),
    );
    return {
      id: state.id,
      layoutOptions: {
        ...OPTIONS,
        ...SPACING,
        ...(hasAcross && { 'elk.spacing.nodeNode': ACROSS_WIDTH }),
        'elk.padding': `[top=${height + 8},left=${margin},bottom=${MARGIN},right=${margin}]`,
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
      ...chart.edges.flatMap((edge, index) => {
        if (edge.isAcross) return [];
        const lines = labelLines(edge, breadth);
        // What goes back to a state around the source goes to its initial mark: there it goes on.
        const target = isWithin(edge.source, edge.target) ? initialMark(edge.target) : edge.target;
        const width = Math.max(...lines.map((line) => line.width)) + 6;
        const source = isWithin(edge.target, edge.source) ? anyMark(edge.source) : edge.source;
        const label = {
          id: `label ${index}`,
          text: 'label',
          width,
          height: lines.length * LINE_HEIGHT,
          layoutOptions: { 'elk.edgeLabels.inline': 'true', 'elk.edgeLabels.placement': 'CENTER' },
        };
        const ends = back.has(edge) ? [target, source] : [source, target];
        return [{ id: `edge ${index}`, sources: [ends[0]!], targets: [ends[1]!], labels: [label] }];
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
    states.push({ ...box, state, lines, headerHeight: headerHeightOf(state, lines), isRegion, depth });
    for (const inner of node.children ?? []) visit(inner, depth + 1, state.kind === 'parallel');
  };
  for (const node of placed.children ?? []) visit(node, 0, false);

  const pointsOf = (id: string): Point[] => {
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
      if (edge.isAcross) return acrossEdge(edge, labelLines(edge, breadth), states);
      const text = placed.edges!.find(({ id }) => id === `edge ${number}`)!.labels?.[0];
      const label = text
        ? {
            x: round(text.x),
            y: round(text.y),
            width: round(text.width),
            height: round(text.height),
            lines: labelLines(edge, breadth),
          }
        : null;
      const points = straightened(straightened(pointsOf(`edge ${number}`), label).reverse(), label);
      return { edge, points: back.has(edge) ? points : points.reverse(), label };
    }),
    anys: [...marks].flatMap(([id, mark]) => (id.endsWith('#any') ? [{ ...mark, of: id.slice(0, -4) }] : [])),
    initials: initials.map(({ of }) => {
      const mark = marks.get(initialMark(of))!;
      return { of, x: mark.x + DOT_SIZE / 2, y: mark.y + DOT_SIZE / 2, points: pointsOf(`initial ${of}`) };
    }),
  };
}
