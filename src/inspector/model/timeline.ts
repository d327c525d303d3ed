/**
 * What the page remembers: records, bounded, in segments that each begin with everything that was. So any moment can be
 * shown again by a copy of a beginning and at most one segment of records. Pure; runs in the browser.
 *
 * A position counts records since the page began; the moment `position` is after all records before it.
 */
import { Board } from '../../actors/inspect/board.ts';
import type { State, Told } from '../../actors/inspect/records.ts';
import { Cast } from './cast.ts';
import { Fates } from './fates.ts';
import { Pairs } from './pairs.ts';

const MIB = 1024 * 1024;
/** Weight is what binds, in characters of JSON: of 100 workers with 50 events a second each, more than half a minute. */
export const BOUNDS: Bounds = { records: 2_000_000, weight: 64 * MIB, heldWeight: 96 * MIB };
const SEGMENT_RECORDS = 1000;
/** What follows the end of an arbiter is far less. */
const ENDING_RECORDS = 5000;

interface Segment {
  first: number;
  start: State;
  /** What was known before does not lead here: a connection was lost between. */
  fresh: boolean;
  records: Told[];
  weight: number;
}

export interface Bounds {
  records: number;
  weight: number;
  /** While a moment is held, which is not dropped before so much is kept. */
  heldWeight: number;
}

export interface Ends {
  from: string | null;
  to: string;
  /** From one process to another. */
  tookMs?: number;
}

const NOTHING: State = { processes: [], actors: [], beats: [] };

function boardOf(state: State): Board {
  const board = new Board();
  for (const record of [...state.processes, ...state.actors, ...state.beats]) board.apply(record);
  return board;
}

export class Timeline {
  now = new Board();
  cast = new Cast();
  readonly fates = new Fates();
  readonly pairs = new Pairs();
  /** The position after the last record. */
  end = 0;
  /** The moment somebody looks at. */
  held: number | null = null;
  readonly #bounds: Bounds;
  #segments: Segment[] = [];
  #weight = 0;
  #castAsked = 0;
  #begunAt = Number.POSITIVE_INFINITY;
  #moment: { position: number; board: Board } | undefined;

  constructor(bounds: Bounds = BOUNDS) {
    this.#bounds = bounds;
  }

  /** The position of the oldest record that is kept; so many were dropped. */
  get first(): number {
    return this.#segments[0]?.first ?? this.end;
  }

  /**
   * Everything that was known is replaced; the past before it stays.
   * @param weight of this state, in characters.
   */
  reset(state: State, weight = 0): void {
    const before = this.now;
    this.now = boardOf(state);
    this.fates.part(before, this.now, { position: this.end - 1, at: this.timeAt(this.end) });
    this.cast.meetAll(state);
    this.pairs.clear();
    for (const { at } of state.processes) this.#begunAt = Math.min(this.#begunAt, at);
    this.#open(state, true).weight = weight;
    this.#weight += weight;
    this.#trim();
  }

  /** @param weight of these records, in characters. */
  push(records: readonly Told[], weight: number): void {
    const each = weight / Math.max(1, records.length);
    for (const record of records) {
      let last = this.#segments.at(-1) ?? this.#open(NOTHING, true);
      if (last.records.length >= SEGMENT_RECORDS) last = this.#open(this.now.state, false);
      last.records.push(record);
      last.weight += each;
      this.#weight += each;
      this.#begunAt = Math.min(this.#begunAt, record.at);
      this.fates.meet(record, this.end, this.now);
      this.cast.meet(record);
      this.pairs.meet(record, this.end, this.cast);
      this.end++;
      this.now.apply(record);
    }
    this.#trim();
  }

  at(position: number): Told | undefined {
    const segment = this.#segmentOf(position);
    return segment?.records[position - segment.first];
  }

  /** Who sent the event of a record to whom, across processes where both have told of it. */
  endsOf(position: number): Ends | undefined {
    const record = this.at(position);
    if (record?.t !== 'event') return undefined;
    const other = this.at(this.pairs.of(position) ?? -1);
    if (other?.t !== 'event' || other.from === null || record.from === null)
      return { from: record.from, to: record.to };
    // The sender tells of the actor that it gave it to, the receiver of the one that it came from.
    const [sent, received] = this.#isSent(record) ? [record, other] : [other, record];
    return { from: sent.from, to: received.to, tookMs: Math.max(0, received.at - sent.at) };
  }

  /** When the first word came, of what was there already as of what began. */
  get begunAt(): number {
    return this.#begunAt;
  }

  /** When the moment was: epoch milliseconds of the record before it, or of the first one. */
  timeAt(position: number): number {
    return (this.at(Math.max(this.first, position - 1)) ?? this.at(this.first))?.at ?? 0;
  }

  /** Everything that was at a moment, which is kept within bounds. */
  boardAt(position: number): Board {
    if (position >= this.end) return this.now;
    const wanted = Math.max(position, this.first);
    if (this.#moment?.position === wanted) return this.#moment.board;
    // The moment `first` of a segment is the end of the one before, but for a break.
    const segment = this.#segmentOf(wanted);
    if (!segment) return this.now;
    const ahead = this.#moment;
    const near = ahead && ahead.position < wanted && ahead.position >= segment.first;
    const board = near ? ahead.board : boardOf(segment.start);
    const from = near ? ahead.position : segment.first;
    for (let at = from; at < wanted; at++) board.apply(segment.records[at - segment.first]!);
    this.#moment = { position: wanted, board };
    return board;
  }

  /** The last moment at which there was a server: the end, but after an orderly stop, which leaves nothing. */
  get lastLived(): number {
    const isArbiter = (id: string): boolean => this.cast.actor(id)?.machine === 'arbiter';
    if (this.now.state.actors.some(({ id, status }) => isArbiter(id) && status === 'active')) return this.end;
    const hasEnded = (record: Told): boolean =>
      (record.t === 'step' || record.t === 'gone') && record.status !== 'active' && isArbiter(record.id);
    // Its last step first tells that it is done, and then it is told that it is gone.
    const found = this.before(this.end, hasEnded, { count: 2, reach: ENDING_RECORDS });
    return found.at(-1)?.position ?? this.end;
  }

  /** The newest records before a position that are wanted, newest first; looks at no more than `reach`. */
  before(
    position: number,
    wanted: (record: Told) => boolean,
    { count, reach }: { count: number; reach: number },
  ): { position: number; record: Told }[] {
    const found: { position: number; record: Told }[] = [];
    const stop = Math.max(this.first, position - reach);
    for (let at = Math.min(position, this.end) - 1; at >= stop && found.length < count; at--) {
      const record = this.at(at)!;
      if (wanted(record)) found.push({ position: at, record });
    }
    return found;
  }

  /** What is kept, for a recording: each beginning that does not follow from what was before, and its records. */
  *chapters(): Generator<{ start: State | null; first: number; records: readonly Told[] }> {
    for (const [index, { fresh, start, first, records }] of this.#segments.entries())
      yield { start: fresh || index === 0 ? start : null, first, records };
  }

  /** A sender is a machine, and what it gives an event to a plain actor. */
  #isSent({ to }: { to: string }): boolean {
    return this.cast.actor(to)?.machine === null;
  }

  #open(start: State, fresh: boolean): Segment {
    const last = this.#segments.at(-1);
    if (last && last.records.length === 0) {
      this.#segments.pop();
      this.#weight -= last.weight;
    }
    const segment: Segment = { first: this.end, start, fresh, records: [], weight: 0 };
    this.#segments.push(segment);
    this.#moment = undefined;
    return segment;
  }

  #segmentOf(position: number): Segment | undefined {
    if (position < this.first || position >= this.end) return undefined;
    let low = 0;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#segments[middle]!.first <= position) low = middle;
      else high = middle - 1;
    }
    return this.#segments[low];
  }

  #trim(): void {
    while (this.#segments.length > 1) {
      const oldest = this.#segments[0]!;
      const after = oldest.first + oldest.records.length;
      if (this.end - after < this.#bounds.records && this.#weight <= this.#bounds.weight) break;
      // Where it is lost all the same, there is room again for the moment that takes its place.
      const isHeld = this.held !== null && this.held >= oldest.first && this.held < after;
      if (isHeld && this.#weight <= this.#bounds.heldWeight) break;
      this.#weight -= oldest.weight;
      this.#segments.shift();
      this.fates.forgetBefore(this.first);
      this.pairs.forgetBefore(this.first);
    }
    if (this.cast.size < Cast.SIZE_MAX || this.end - this.#castAsked < SEGMENT_RECORDS) return;
    this.#castAsked = this.end;
    this.cast = new Cast();
    for (const { start, records } of this.#segments) {
      this.cast.meetAll(start);
      for (const record of records) this.cast.meet(record);
    }
  }
}
