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
