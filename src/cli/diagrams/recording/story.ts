/**
 * What is told of a recorded run: who takes part, who says what to whom, and where each machine goes. Process ids, times and
 * what does not matter are left out, so that two runs tell the same story. Development only.
 */
import type { Line } from './lines.ts';

export interface Participant {
  name: string;
  /** The process it lives in; null: outside of Kirin. */
  process: string | null;
}

export type Step =
  /** Told within a process, over a link, by the operating system, or by whoever is outside. */
  | { kind: 'message'; from: string; to: string; text: string; way: 'inside' | 'link' | 'system' | 'outside' }
  /** A machine, or a process, is started. */
  | { kind: 'start'; from: string; of: string }
  /** `path` is where it is now, `text` what of that is new. */
  | { kind: 'state'; of: string; path: string; text: string; why: string | null }
  | { kind: 'end'; of: string };

export interface Story {
  participants: Participant[];
  steps: Step[];
}

/** A process that has a tree of its own below it. */
const isArbiter = (process: string): boolean => /^(dirty )?arbiter/.test(process);

/** Who an actor is in the story; null: nobody that is told of. */
function nameOf(process: string, path: string): string | null {
  if (process === 'you') return 'you';
  if (!isArbiter(process)) return path === 'root' ? process : null;
  if (path === '' || path === 'root/signals') return 'you';
  const dirty = process.startsWith('dirty') ? 'dirty ' : '';
  if (path === 'root') return `${dirty}arbiter`;
  const [, name] = /^root\/(generations|pool|pool\/child\.\d+)$/.exec(path) ?? [];
  if (name) return dirty + name.replace(/^.*\/child\./, 'child ');
  const [, age] = /^root\/pool\/child\.(\d+)\/process$/.exec(path) ?? [];
  return age ? `${dirty}worker ${age}` : null;
}

const processOf = (name: string): string | null => {
  if (name === 'you') return null;
  if (/^(dirty )?worker/.test(name)) return name;
  return name === 'router' || name.startsWith('dirty') ? 'dirty arbiter' : 'arbiter';
};

/** Those of one process stand side by side, in the order in which the tree has them. */
const ORDER = [
  ...['you', 'arbiter', 'generations', 'pool', 'child', 'worker'],
  ...['dirty arbiter', 'router', 'dirty pool', 'dirty child', 'dirty worker'],
];
const placeOf = (name: string): number => {
  const [, kind, age] = /^(.*?)(?: (\d+))?$/.exec(name)!;
  return ORDER.indexOf(kind!) * 1000 + Number(age ?? 0);
};

/**
 * A report that has arrived is told where it was sent: its reader may have been busy for long. Else a worker would be gone
 * before it says that it goes. What comes from one process keeps its order.
 */
function asSent(lines: readonly Line[]): Line[] {
  const sent = new Map<string, number[]>();
  const last = new Map<string, number>();
  const told = lines.map((line) => {
    if (line.what !== 'event') return line;
    if (line.from === 'root' && line.to === 'root/link') {
      const name = `${line.process} ${line.type}`;
      sent.set(name, [...(sent.get(name) ?? []), line.at]);
    }
    const from = isArbiter(line.process) ? nameOf(line.process, line.from) : null;
    if (!from?.includes('worker')) return line;
    const at = Math.max(sent.get(`${from} ${line.type}`)?.shift() ?? line.at, last.get(from) ?? 0);
    last.set(from, at);
    return { ...line, at };
  });
  return told.sort((a, b) => a.at - b.at);
}

/** `began`: when the story begins; what came before it is known, and not told. */
export function storyOf(recorded: readonly Line[], began = 0): Story {
  const lines = asSent(recorded);
  const steps: Step[] = [];
  const states = new Map<string, string[]>();
  const names = new Set<string>();
  const lives = new Set<string>();
  /** A machine is in its first state before it is said to have started. */
  const early = new Map<string, Step>();
  let isTold = false;
  const tell = (step: Step): void => {
    if (step.kind === 'start' || (step.kind === 'state' && !isTold)) lives.add(step.of);
    if (!isTold) return;
    if (step.kind === 'state' && !lives.has(step.of)) return void early.set(step.of, step);
    steps.push(step);
    if (step.kind === 'state' || step.kind === 'end') names.add(step.of);
    else
      for (const name of step.kind === 'start' ? [step.from, step.of] : [step.from, step.to]) names.add(name);
    const first = step.kind === 'start' ? early.get(step.of) : undefined;
    if (first) steps.push(first);
  };
  /** Or it is told late, after what it has done on its way in. */
  const tellFirst: Tell = (step) => {
    const start = steps.findIndex(
      (one) => one.kind === 'start' && step.kind === 'state' && one.of === step.of,
    );
    if (start >= 0) steps.splice(start + 1, 0, step);
    else tell(step);
  };

  for (const line of lines) {
    isTold = line.at >= began;
    if (line.what === 'done') tellDone(line, tell);
    else if (line.what === 'frame') tellFrame(line, tell);
    else if (line.what === 'state')
      tellState(line, states, line.by === 'xstate.init' && isArbiter(line.process) ? tellFirst : tell);
    else tellEvent(line, tell);
  }
  const all = withEnds(steps, [...names]);
  const participants = [...names].sort((a, b) => placeOf(a) - placeOf(b));
  return { participants: participants.map((name) => ({ name, process: processOf(name) })), steps: all };
}

/** Whose parent is dead is seen to go by nobody; and with the root of a process everybody in it is gone. */
function withEnds(steps: readonly Step[], names: readonly string[]): Step[] {
  const isOver = (name: string): boolean => all.some((step) => step.kind === 'end' && step.of === name);
  const all: Step[] = [];
  for (const step of steps) {
    all.push(step);
    const isGone = step.kind === 'state' && step.text === 'gone';
    const isReported = steps.some((one) => one.kind === 'end' && step.kind === 'state' && one.of === step.of);
    if (isGone && !isReported) all.push({ kind: 'end', of: step.of });
    const last = all.at(-1);
    if (last?.kind !== 'end') continue;
    for (const name of names)
      if (isArbiter(last.of) && processOf(name) === last.of && !isOver(name))
        all.push({ kind: 'end', of: name });
  }
  return all;
}

type Tell = (step: Step) => void;

function tellDone(line: Line & { what: 'done' }, tell: Tell): void {
  const { to, text, kind } = line;
  if (kind === 'response') return tell({ kind: 'message', from: to, to: 'you', text, way: 'outside' });
  // Other signals are events, and told as such.
  if (kind === 'signal' && text !== 'SIGKILL') return;
  tell({ kind: 'message', from: 'you', to, text, way: kind === 'signal' ? 'system' : 'outside' });
  if (kind === 'signal') tell({ kind: 'end', of: to });
}

/** Where the router passes on what it is sent. */
const TO_WORKER = new Set(['call', 'credit', 'cancel']);
function tellFrame(line: Line & { what: 'frame' }, tell: Tell): void {
  const { process, type } = line;
  const text = type === 'call' && line.flags % 2 === 1 ? 'call (stream)' : type;
  if (!process.startsWith('dirty arbiter'))
    return tell({ kind: 'message', from: process, to: 'router', text, way: 'link' });
  const to = TO_WORKER.has(type) ? 'dirty worker 1' : 'worker 1';
  tell({ kind: 'message', from: 'router', to, text, way: 'link' });
}

/** `{ alive: { ready: 'fresh' } }` as `alive.ready.fresh`; one path for each region. */
const pathsOf = (value: object | string): string[] =>
  typeof value === 'string'
    ? [value]
    : Object.entries(value).flatMap(([key, inner]) => pathsOf(inner).map((path) => `${key}.${path}`));

/** What begins all of these. */
function commonPath(paths: readonly string[]): string {
  const [first = '', ...others] = paths;
  const keys = first.split('.');
  const isCommon = (count: number): boolean =>
    others.every((path) => `${path}.`.startsWith(`${keys.slice(0, count).join('.')}.`));
  let count = keys.length;
  while (count > 0 && !isCommon(count)) count--;
  return keys.slice(0, count).join('.');
}

function tellState(line: Line & { what: 'state' }, states: Map<string, string[]>, tell: Tell): void {
  const of = nameOf(line.process, line.of);
  if (of === null || of === 'you') return;
  const before = states.get(of);
  const now = pathsOf(line.value);
  states.set(of, now);
  const news = now.filter((path) => !before?.includes(path));
  if (news.length === 0 || news[0] === 'alive.ready.stable') return;
  const why = / /.test(line.by) ? line.by : null;
  const path = commonPath(news);
  const kept = Math.max(...(before ?? ['alive']).map((other) => commonPath([path, other]).length));
  tell({ kind: 'state', of, path, text: path.slice(kept).replace(/^\./, ''), why });
}

function tellEvent(line: Line & { what: 'event' }, tell: Tell): void {
  const { process, type, facts } = line;
  const from = nameOf(process, line.from);
  const to = nameOf(process, line.to);
  if (type === 'xstate.init') {
    // A worker's own first word comes when its process has been started already.
    if (from !== null && to !== null && isArbiter(process) && to !== 'you' && to !== 'dirty arbiter')
      tell({ kind: 'start', from, of: to });
    return;
  }
  // That a worker has lasted depends on how long the run took.
  if (type.startsWith('xstate.') || type === 'child.stable') return;
  if (line.from === 'root/link' && line.to === 'root') return tellOverLink(line, tell);
  if (!isArbiter(process)) return;
  if (from === null || to === null || from === to) return;
  if (type === 'process.silent') return tell({ kind: 'message', from: to, to, text: type, way: 'inside' });
  if (type === 'process.signal')
    return tell({ kind: 'message', from, to, text: facts['signal'] ?? type, way: 'system' });
  // An order to a worker is told where it arrives.
  if (to.includes('worker')) return;
  const shown =
    type === 'process.exited' ? facts['signal'] : type === 'child.leaving' ? facts['cause'] : undefined;
  const text = from === 'you' ? `${facts['source']}: ${type}` : shown ? `${type} (${shown})` : type;
  const way =
    from === 'you' || type.startsWith('process.') ? 'system' : from.includes('worker') ? 'link' : 'inside';
  tell({ kind: 'message', from, to, text, way });
  if (type === 'process.exited' || type === 'child.exited') tell({ kind: 'end', of: from });
}

/** What a process is told over its link, and that the link has ended. */
function tellOverLink({ process, type }: Line & { what: 'event' }, tell: Tell): void {
  const to = nameOf(process, 'root')!;
  const from = type === 'link.ended' ? to : process.replace('worker', 'child');
  tell({ kind: 'message', from, to, text: type, way: 'link' });
}
