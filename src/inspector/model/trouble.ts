/** What is worth going to in what happened: errors, processes that died, hangs, boots and reloads that failed. Pure; runs in the browser. */
import type { Plain, Told } from '../../actors/inspect/records.ts';
import { eventType } from './states.ts';

const fieldOf = (event: Plain, name: string): Plain | undefined =>
  typeof event === 'object' && event !== null && !Array.isArray(event)
    ? (event as Record<string, Plain>)[name]
    : undefined;

/** How a process ended, where an event tells it; `bad` where it was not asked to, or did not do it well. */
export function exitOf(record: Told & { t: 'event' }): { how: string; bad: boolean } | undefined {
  if (eventType(record.event) !== 'process.exited') return undefined;
  const signal = fieldOf(record.event, 'signal');
  const code = fieldOf(record.event, 'code');
  if (typeof signal === 'string' && signal !== '') return { how: `by ${signal}`, bad: true };
  return typeof code === 'number' ? { how: `with code ${code}`, bad: code !== 0 } : { how: '', bad: true };
}

const DETAIL_LENGTH_MAX = 160;

/** What an event says of itself where that is short: how a process ended, or what was wrong. */
export function detailOf(record: Told & { t: 'event' }): string {
  const how = exitOf(record)?.how;
  if (how !== undefined) return how;
  const fault = fieldOf(record.event, 'fault');
  const text = fault === undefined ? undefined : fieldOf(fault, 'message');
  return typeof text === 'string' ? text.slice(0, DETAIL_LENGTH_MAX) : '';
}

/** Events that say that something went wrong, whoever says them. */
const BAD_EVENTS = new Set([
  'process.spawnFailed',
  'process.silent',
  'process.linkBroken',
  'child.kill',
  'worker.bootFailed',
  'worker.lastWords',
  'generation.refused',
  'order.refused',
  'order.failed',
  'order.overdue',
  'pool.openFailed',
  'pool.refused',
  'pool.failed',
  'pool.degraded',
  'dirty.openFailed',
  'dirty.refused',
  'dirty.failed',
  'dirty.degraded',
]);

export function isTrouble(record: Told): boolean {
  switch (record.t) {
    case 'log':
      return record.level === 'error';
    case 'lost':
      return true;
    case 'gone':
    case 'step':
      return record.status === 'error';
    case 'event': {
      const type = eventType(record.event);
      if (BAD_EVENTS.has(type) || type.startsWith('xstate.error.')) return true;
      if (type === 'process.signal') return fieldOf(record.event, 'signal') !== 'SIGTERM';
      return exitOf(record)?.bad ?? false;
    }
    default:
      return false;
  }
}
