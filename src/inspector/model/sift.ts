/** Which records of a timeline are wanted, kept up with it record by record. Pure; runs in the browser. */
import type { Told } from '../../actors/inspect/records.ts';
import { eventType, stateText } from './states.ts';
import type { Timeline } from './timeline.ts';

export const KINDS = ['events', 'steps', 'lives', 'log'] as const;
export type Kind = (typeof KINDS)[number];

export interface Criteria {
  text: string;
  kinds: ReadonlySet<Kind>;
  /** Only what this actor does and is told. */
  actor: string | null;
}

export function kindOf(record: Told): Kind | null {
  switch (record.t) {
    case 'event':
      return 'events';
    case 'step':
      return 'steps';
    case 'process':
    case 'ended':
      return 'lives';
    case 'log':
    case 'lost':
      return 'log';
    default:
      return null;
  }
}

/** Whether a record is about an actor. */
export const concerns = (record: Told, id: string): boolean =>
  record.t === 'event'
    ? record.from === id || record.to === id
    : (record.t === 'step' || record.t === 'actor' || record.t === 'gone') && record.id === id;

/** What a search looks in: names, types, states and what an event carries, in small letters. */
export function searchText(record: Told, timeline: Timeline): string {
  const who = (id: string | null): string => {
    if (id === null) return '';
    const { process, name } = timeline.cast.role(id);
    return `${process} ${name} ${id}`;
  };
  switch (record.t) {
    case 'event':
      return `${who(record.from)} ${who(record.to)} ${eventType(record.event)} ${JSON.stringify(record.event)}`.toLowerCase();
    case 'step':
      return `${who(record.id)} ${eventType(record.event)} ${stateText(record.value)} ${record.actions.join(' ')}`.toLowerCase();
    case 'process':
    case 'ended':
      return `${timeline.cast.process(record.pid)} ${record.pid} ${record.t}`.toLowerCase();
    case 'log':
      return `${record.level} ${record.text}`.toLowerCase();
    case 'lost':
      return `lost ${timeline.cast.process(record.pid)}`.toLowerCase();
    default:
      return '';
  }
}

export class Sift {
  #positions: number[] = [];
  #stale = 0;
  #upTo = 0;
  #criteria: Criteria = { text: '', kinds: new Set(KINDS), actor: null };
  /** So many of those that were found are no longer kept by the timeline; for who scrolls. */
  dropped = 0;

  get count(): number {
    return this.#positions.length - this.#stale;
  }

  /** The position of the nth that was found. */
  at(index: number): number | undefined {
    return this.#positions[this.#stale + index];
  }

  /** The index of the first that was found at or after a position. */
  indexFrom(position: number): number {
    let low = this.#stale;
    let high = this.#positions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#positions[middle]! < position) low = middle + 1;
      else high = middle;
    }
    return low - this.#stale;
  }

  /** Brings it up to the timeline; cheap where only records were added. */
  update(timeline: Timeline, criteria: Criteria): this {
    const before = this.#criteria;
    const same =
      before.text === criteria.text && before.kinds === criteria.kinds && before.actor === criteria.actor;
    if (!same || this.#upTo > timeline.end) {
      this.#criteria = criteria;
      this.#positions = [];
      this.#stale = 0;
      this.#upTo = 0;
      this.dropped = 0;
    }
    for (let at = Math.max(this.#upTo, timeline.first); at < timeline.end; at++)
      if (this.#shows(at, timeline)) this.#positions.push(at);
    this.#upTo = timeline.end;
    const stale = this.#stale + this.indexFrom(timeline.first);
    this.dropped += stale - this.#stale;
    this.#stale = stale;
    if (this.#stale > 4096) {
      this.#positions = this.#positions.slice(this.#stale);
      this.#stale = 0;
    }
    return this;
  }

  /** What two processes told of one event is shown once, where it was told first. */
  #shows(position: number, timeline: Timeline): boolean {
    if (!this.#wants(timeline.at(position)!, timeline)) return false;
    const other = timeline.pairs.of(position);
    if (other === undefined || other > position) return true;
    const first = timeline.at(other);
    return !first || !this.#wants(first, timeline);
  }

  #wants(record: Told, timeline: Timeline): boolean {
    const kind = kindOf(record);
    const { text, kinds, actor } = this.#criteria;
    if (!kind || !kinds.has(kind)) return false;
    if (actor !== null && !concerns(record, actor)) return false;
    return text === '' || searchText(record, timeline).includes(text);
  }
}
