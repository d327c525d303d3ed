/** States and events as words: which nodes are active, what a state is called, how it is doing. Pure; runs in the browser. */
import type { Plain, ToldActor } from '../../actors/inspect/records.ts';
import { shortName } from './cast.ts';

export type Tone = 'booting' | 'ready' | 'draining' | 'failed' | 'ended' | 'own' | 'plain';

/** A colour is never alone: each tone has its sign. */
export const SIGNS: Record<Tone, string> = {
  booting: '◔',
  ready: '●',
  draining: '◒',
  failed: '✕',
  ended: '○',
  own: '◆',
  plain: '·',
};

const isObject = (value: unknown): value is Record<string, Plain> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The paths of the innermost active states: `alive.ready.fresh`. */
export function leafPaths(value: Plain, prefix = ''): string[] {
  if (typeof value === 'string') return [prefix + value];
  if (!isObject(value)) return [];
  const entries = Object.entries(value);
  return entries.flatMap(([key, inner]) => {
    const within = leafPaths(inner, `${prefix}${key}.`);
    return within.length === 0 ? [prefix + key] : within;
  });
}

/** The ids of all active state nodes, the machine's own first. */
export function activeIds(machine: string, value: Plain): Set<string> {
  const ids = new Set([machine]);
  for (const path of leafPaths(value)) {
    const parts = path.split('.');
    for (let depth = 1; depth <= parts.length; depth++)
      ids.add(`${machine}.${parts.slice(0, depth).join('.')}`);
  }
  return ids;
}

/** Short: the innermost states, `ready · fresh` for one, the last words of each region for several; a user's machine says it whole. */
export function stateText(value: Plain, user = false): string {
  const paths = leafPaths(value);
  if (user) return paths.join(' + ');
  if (paths.length > 1) return paths.map((path) => path.split('.').at(-1)).join(' + ');
  const parts = (paths[0] ?? '').split('.');
  return (parts[0] === 'alive' ? parts.slice(1) : parts).slice(-2).join(' · ') || parts.join(' · ');
}

const TONES: [RegExp, Tone][] = [
  [/(^|\.)(aborting|killing|failed|failing|error|stalled|waiting)($|\.)/, 'failed'],
  [/(^|\.)(draining|quitting|stopping|closing|leaving)($|\.)/, 'draining'],
  [
    /(^|\.)(starting|booting|spawned|opening|preparing|claiming|loading|booted\.preparing|trying)($|\.)/,
    'booting',
  ],
  [/(^|\.)(reaped|stopped|closed|done|ended)($|\.)/, 'ended'],
];

export function toneOf({
  machine,
  status,
  value,
  user,
}: Pick<ToldActor, 'machine' | 'status' | 'value' | 'user'>): Tone {
  if (status === 'error') return 'failed';
  if (status !== 'active') return 'ended';
  if (machine === null) return 'plain';
  // What the words of a user's own machine mean, nobody knows here.
  if (user) return 'own';
  return toneOfState(leafPaths(value).join(' '));
}

/** Of a path or an id of a state. */
export function toneOfState(path: string): Tone {
  for (const part of path.split(' '))
    for (const [pattern, tone] of TONES) if (pattern.test(part)) return tone;
  return 'ready';
}

export const eventType = (event: Plain): string =>
  isObject(event) && typeof event['type'] === 'string' ? event['type'] : String(event);

/** As people say it: `after bootLimit`, `process done`. */
export function eventTitle(type: string): string {
  const after = /^xstate\.after\.([^.]+)\./.exec(type);
  if (after) return `after ${after[1]}`;
  const ended = /^xstate\.(done|error)\.(?:actor|state)\.(.+)$/.exec(type);
  if (ended) return `${shortName(ended[2]!)} ${ended[1] === 'done' ? 'done' : 'threw'}`;
  const settled = /^xstate\.promise\.(resolve|reject)$/.exec(type);
  if (settled) return settled[1] === 'resolve' ? 'promise resolved' : 'promise rejected';
  return type === '' ? 'always' : type;
}

/** Where the picture of a machine lies: `controlSession` → `control-session`. */
export const pictureName = (machine: string): string =>
  machine.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
