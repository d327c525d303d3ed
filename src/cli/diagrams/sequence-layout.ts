/** Where everything in a sequence goes: lifelines side by side, grouped by process, and time from top to bottom. Development only. */
import type { Participant, Step, Story } from './recording/story.ts';
import { textWidth } from './text-width.ts';

const TEXT_SIZE = 11;
export const LINE_HEIGHT = 13;
export const HEAD_HEIGHT = 22;
const HEAD_PADDING = 10;
const MARGIN = 8;
/** Between the frames of two processes, and above the heads in them. */
const FRAME_GAP = 12;
const FRAME_TITLE = 20;
const ROW = { message: 25, state: 21, start: 32, end: 10 } as const;
/** Below the head of what was started. */
const START_BELOW = 10;
export const PILL_HEIGHT = 16;
const PILL_PADDING = 14;
/** What an arrow shows of itself beside its label. */
const ARROW_PADDING = 18;
export const SELF_WIDTH = 22;

export const headWidth = (name: string): number => textWidth(name, TEXT_SIZE, 'bold') + 2 * HEAD_PADDING;
export const frameTitle = (process: string): string => `${process} process`;
const widthOf = (text: string): number => textWidth(text, TEXT_SIZE);
const widest = (lines: readonly string[]): number => Math.max(...lines.map(widthOf));

/** Why, or within what, a machine is where it is now, and above all where. */
export function stateLines({ text, why }: Step & { kind: 'state' }): { above: string | null; text: string } {
  if (why !== null) return { above: why, text };
  const end = text.lastIndexOf('.');
  return end < 0 ? { above: null, text } : { above: text.slice(0, end), text: text.slice(end + 1) };
}
export const pillWidth = (step: Step & { kind: 'state' }): number => {
  const { above, text } = stateLines(step);
  return widest(above === null ? [text] : [above, text]) + PILL_PADDING;
};

/** On one line where there is room, else on one for each word. */
export const messageLines = (text: string, room: number): string[] =>
  widthOf(text) + ARROW_PADDING <= room ? [text] : text.split(' ');

/** The lifelines of one process: from the first to the last, which stand side by side. */
export interface Group {
  process: string | null;
  first: number;
  last: number;
}

export function groupsOf(participants: readonly Participant[]): Group[] {
  const groups: Group[] = [];
  for (const [index, { process }] of participants.entries()) {
    const group = groups.at(-1);
    if (group?.process === process) group.last = index;
    else groups.push({ process, first: index, last: index });
  }
  return groups;
}

/** Where each lifeline is, and how far what belongs to it alone reaches to its sides. */
export interface Columns {
  x: number[];
  left: number[];
  right: number[];
  width: number;
}

/** As near to each other as what is written on and between them allows. */
export function columnsOf({ participants, steps }: Story): Columns {
  const index = new Map(participants.map(({ name }, position) => [name, position]));
  const left = participants.map(({ name }) => headWidth(name) / 2);
  for (const { process, first, last } of groupsOf(participants))
    if (process !== null && first === last)
      left[first] = Math.max(left[first]!, widthOf(frameTitle(process)) / 2);
  const right = [...left];
  const spans: { from: number; to: number; width: number }[] = [];
  const span = (from: number, to: number, width: number): void =>
    void spans.push({ from: Math.min(from, to), to: Math.max(from, to), width });
  for (const step of steps) {
    const of = index.get(step.kind === 'message' ? step.to : step.of)!;
    if (step.kind === 'state') {
      const half = pillWidth(step) / 2;
      left[of] = Math.max(left[of]!, half);
      right[of] = Math.max(right[of]!, half);
    } else if (step.kind === 'message') {
      const from = index.get(step.from)!;
      const own = SELF_WIDTH + widthOf(step.text) + 8;
      // It may reach over the next lifeline, not over the frame.
      const isLast = participants[of + 1]?.process !== participants[of]!.process;
      if (from === of && isLast) right[of] = Math.max(right[of]!, own);
      else if (from === of) span(of, of + 1, own + 8);
      else span(from, of, widest(messageLines(step.text, 0)) + ARROW_PADDING);
    } else if (step.kind === 'start') span(index.get(step.from)!, of, headWidth(step.of) / 2 + 30);
  }
  const gaps = participants.slice(1).map(({ process }, column) => {
    const between = process === participants[column]!.process ? MARGIN : FRAME_GAP + 2 * MARGIN;
    return Math.ceil(right[column]! + left[column + 1]! + between);
  });
  // The narrowest first: what they need the wider ones have too.
  for (const { from, to, width } of spans.sort((a, b) => a.to - a.from - (b.to - b.from))) {
    const there = gaps.slice(from, to).reduce((sum, gap) => sum + gap, 0);
    const missing = Math.max(0, width - there);
    for (let column = from; column < to; column++)
      gaps[column] = Math.ceil(gaps[column]! + missing / (to - from));
  }
  const x = [Math.ceil(left[0]! + 2 * MARGIN)];
  for (const gap of gaps) x.push(x.at(-1)! + gap);
  return { x, left, right, width: Math.ceil(x.at(-1)! + right.at(-1)! + 2 * MARGIN) };
}

/** A process, from its start to its end or over the whole height. */
export interface Frame {
  process: string;
  x: number;
  width: number;
  y: number;
  height: number;
}
export interface Life {
  name: string;
  x: number;
  /** The top of its head. */
  y: number;
  to: number;
  hasEnded: boolean;
}
export interface PlacedSequence {
  width: number;
  height: number;
  frames: Frame[];
  lives: Life[];
  steps: { step: Step; y: number }[];
}

export function sequenceLayout(story: Story): PlacedSequence {
  const { participants, steps } = story;
  const columns = columnsOf(story);
  const index = new Map(participants.map(({ name }, position) => [name, position]));
  const processOf = new Map(participants.map(({ name, process }) => [name, process]));
  const top = MARGIN / 2 + FRAME_TITLE + 4;
  const started = new Set(steps.flatMap((step) => (step.kind === 'start' ? [step.of] : [])));
  const begins = new Map(
    participants.filter(({ name }) => !started.has(name)).map(({ name }) => [name, top]),
  );
  const ends = new Map<string, number>();

  /** Of the row of a step, above its line. */
  const heightOf = (step: Step): number => {
    if (step.kind === 'state') return ROW.state + (stateLines(step).above === null ? 0 : LINE_HEIGHT);
    if (step.kind === 'message') {
      const room = Math.abs(columns.x[index.get(step.from)!]! - columns.x[index.get(step.to)!]!);
      const lines = step.from === step.to ? 1 : messageLines(step.text, room).length;
      return ROW.message + (lines - 1) * LINE_HEIGHT;
    }
    const isOtherProcess = step.kind === 'start' && processOf.get(step.from) !== processOf.get(step.of);
    return ROW[step.kind] + (isOtherProcess ? FRAME_TITLE : 0);
  };
  // Nobody is there yet where the story begins with a start.
  let y = steps[0]?.kind === 'start' ? top - FRAME_TITLE : top + HEAD_HEIGHT + 4;
  const placed = steps.map((step, number) => {
    // Several that end together end at one moment.
    const isTogether = step.kind === 'end' && steps[number - 1]?.kind === 'end';
    y += isTogether ? 0 : heightOf(step);
    const at = y;
    if (step.kind === 'start') {
      begins.set(step.of, y - HEAD_HEIGHT / 2);
      y += START_BELOW;
    }
    if (step.kind === 'end') ends.set(step.of, y - 2);
    return { step, y: at };
  });
  const bottom = y + 2 * MARGIN;

  const frames = groupsOf(participants).flatMap(({ process, first, last }): Frame[] => {
    if (process === null) return [];
    const x = Math.floor(columns.x[first]! - columns.left[first]! - MARGIN);
    const to = Math.ceil(columns.x[last]! + columns.right[last]! + MARGIN);
    const names = participants.slice(first, last + 1).map(({ name }) => name);
    const from = Math.min(...names.map((name) => begins.get(name)!)) - FRAME_TITLE - 4;
    const end = names.every((name) => ends.has(name))
      ? Math.max(...names.map((name) => ends.get(name)!)) + MARGIN + 2
      : bottom;
    return [{ process, x, width: to - x, y: from, height: end - from }];
  });
  return {
    width: columns.width,
    height: bottom + MARGIN / 2,
    frames,
    lives: participants.map(({ name }, column) => ({
      name,
      x: columns.x[column]!,
      y: begins.get(name)!,
      to: ends.get(name) ?? bottom - 6,
      hasEnded: ends.has(name),
    })),
    steps: placed,
  };
}
