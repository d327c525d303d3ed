/** What is written in the boxes of a chart and on its arrows, line by line. Development only. */
import { type ChartEdge, type ChartState, condition, type Step } from './chart.ts';
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
/** How much may be written side by side. */
export interface Breadth {
  leafWidthMax: number;
  /** A condition stands below its event, not beside it. */
  isGuardBelow: boolean;
}
export const BROAD: Breadth = { leafWidthMax: 350, isGuardBelow: false };
export const NARROW: Breadth = { leafWidthMax: 250, isGuardBelow: true };
const AROUND_WIDTH_MAX = 440;

export const TEXT_SIZE = 11;

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

export function linesOf(state: ChartState, { leafWidthMax }: Breadth): Line[] {
  const widthMax = state.states.length > 0 ? AROUND_WIDTH_MAX : leafWidthMax;
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

export const labelLines = (edge: ChartEdge, { isGuardBelow }: Breadth): Line[] =>
  edge.steps.flatMap((step) => {
    const guard = condition(step);
    const spans = guard ? [plain(step.text), faint(guard)] : [plain(step.text)];
    const lines = guard && isGuardBelow ? [[plain(step.text)], [faint(guard.trim())]] : [spans];
    return lines.map((one) => ({ spans: one, steps: [step], width: widthOf(one) }));
  });
