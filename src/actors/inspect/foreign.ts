/**
 * What a process told of itself, as watchers are told: read as something that anybody may have written, with ids that are
 * unique over all processes, bounded once more, and without secrets. Runs in the inspector's thread.
 */
import type { Redactor } from '../redaction.ts';
import { CONTEXT_LENGTH_MAX, DEFINITION_LENGTH_MAX, EVENT_LENGTH_MAX, plain } from './plain.ts';
import { type About, type Plain, roundedMs, type Taken, type Told } from './records.ts';

const NAME_LENGTH_MAX = 200;
const LIST_MAX = 50;
const DEFINITION_DEPTH_MAX = 16;
/** Texts whose redaction is remembered: names and types come again and again. */
const CACHED_MAX = 5000;
const CACHED_LENGTH_MAX = 64;

type Loose = Record<string, unknown>;

/** Reads what processes say of their own actors. */
export class Reader {
  readonly #redactor: Pick<Redactor, 'text' | 'version'>;
  readonly #cache = new Map<string, string>();
  #version = -1;

  constructor(redactor: Pick<Redactor, 'text' | 'version'>) {
    this.#redactor = redactor;
  }

  /** Undefined for what is no record of an actor of that process. `supervises`: it may say which processes it watches. */
  read(
    pid: number,
    value: unknown,
    supervises: boolean,
    /** Added to its times. */
    offsetMs: number,
  ): Exclude<Told, { t: 'process' | 'ended' | 'beat' | 'log' | 'lost' }> | undefined {
    if (typeof value !== 'object' || value === null) return undefined;
    const record = value as Loose;
    const at = roundedMs((numberIn(record['at']) ?? 0) + offsetMs);
    const idOf = (given: unknown): string | null => (isId(given) ? `${pid}/${given}` : null);
    const id = idOf(record['t'] === 'event' ? record['to'] : record['id']);
    if (id === null) return undefined;
    const status = this.#name(record['status']);
    switch (record['t']) {
      case 'actor': {
        const parent = idOf(record['parent']);
        const about = supervises ? aboutIn(record['about'], (text) => this.#name(text)) : null;
        const user = record['user'] === true;
        return {
          t: 'actor',
          at,
          id,
          pid,
          parent,
          root: parent === null,
          name: this.#name(record['name']),
          machine: record['machine'] === null ? null : this.#name(record['machine']),
          user,
          status,
          value: this.#plain(record['value'], EVENT_LENGTH_MAX),
          context: this.#plain(record['context'], CONTEXT_LENGTH_MAX),
          about: user ? null : about,
          ...(user && record['definition'] !== undefined
            ? { definition: this.#plain(record['definition'], DEFINITION_LENGTH_MAX, DEFINITION_DEPTH_MAX) }
            : {}),
        };
      }
      case 'gone':
        return { t: 'gone', at, id, status };
      case 'event':
        return {
          t: 'event',
          at,
          from: idOf(record['from']),
          to: id,
          event: this.#plain(record['event'], EVENT_LENGTH_MAX),
        };
      case 'step': {
        const about = supervises ? aboutIn(record['about'], (text) => this.#name(text)) : null;
        return {
          t: 'step',
          at,
          id,
          event: this.#plain(record['event'], EVENT_LENGTH_MAX),
          status,
          value: this.#plain(record['value'], EVENT_LENGTH_MAX),
          took: listIn(record['took']).flatMap((one) => this.#taken(one)),
          actions: listIn(record['actions']).map((one) => this.#name(one)),
          ...(record['context'] === undefined
            ? {}
            : { context: this.#plain(record['context'], CONTEXT_LENGTH_MAX) }),
          ...(about ? { about } : {}),
        };
      }
      default:
        return undefined;
    }
  }

  /** A text of this process's own, such as a line of the log. */
  text(text: string, lengthMax = 4 * 1024): string {
    return this.#redacted(text).slice(0, lengthMax);
  }

  #taken(value: unknown): Taken[] {
    if (typeof value !== 'object' || value === null) return [];
    const { source, target, event } = value as Loose;
    const targets = listIn(target).map((one) => this.#name(one));
    return [{ source: this.#name(source), target: targets, event: this.#name(event) }];
  }

  #plain(value: unknown, lengthMax: number, depthMax?: number): Plain {
    return plain(value, lengthMax, (text) => this.#redacted(text), depthMax);
  }

  #name(value: unknown): string {
    return typeof value === 'string' ? this.#redacted(value).slice(0, NAME_LENGTH_MAX) : '';
  }

  #redacted(text: string): string {
    if (text.length > CACHED_LENGTH_MAX) return this.#redactor.text(text);
    if (this.#version !== this.#redactor.version) {
      this.#version = this.#redactor.version;
      this.#cache.clear();
    }
    const known = this.#cache.get(text);
    if (known !== undefined) return known;
    const redacted = this.#redactor.text(text);
    if (this.#cache.size >= CACHED_MAX) this.#cache.clear();
    this.#cache.set(text, redacted);
    return redacted;
  }
}

const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
const numberIn = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;
const listIn = (value: unknown): unknown[] => (Array.isArray(value) ? value.slice(0, LIST_MAX) : []);

function aboutIn(value: unknown, nameOf: (text: unknown) => string): About | null {
  if (typeof value !== 'object' || value === null) return null;
  const { title, age, slot, generation, pid } = value as Loose;
  return {
    title: nameOf(title),
    age: numberIn(age) ?? 0,
    slot: numberIn(slot) ?? 0,
    generation: numberIn(generation) ?? 0,
    pid: numberIn(pid) ?? 0,
  };
}

/** What a dirty arbiter says of its workers: their lives and figures. */
export function readLife(
  value: unknown,
  offsetMs: number,
): Extract<Told, { t: 'ended' | 'beat' }> | Omit<Extract<Told, { t: 'process' }>, 'parent'> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const record = value as Loose;
  const number = (name: string): number => numberIn(record[name]) ?? 0;
  const at = roundedMs(number('at') + offsetMs);
  const pid = record['pid'];
  if (!isId(pid)) return undefined;
  switch (record['t']) {
    case 'process':
      return {
        t: 'process',
        at,
        pid,
        process: 'dirtyWorker',
        age: number('age'),
        slot: number('slot'),
        generation: number('generation'),
      };
    case 'ended':
      return { t: 'ended', at, pid };
    case 'beat':
      return {
        t: 'beat',
        at,
        pid,
        requests: number('requests'),
        requestsPerSecond: number('requestsPerSecond'),
        connections: number('connections'),
        inFlight: number('inFlight'),
        loopDelayMs: number('loopDelayMs'),
        utilization: number('utilization'),
        rssBytes: number('rssBytes'),
      };
    default:
      return undefined;
  }
}
