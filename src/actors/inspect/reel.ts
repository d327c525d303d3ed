/**
 * The recent past, bounded: everything that was at its beginning, and what happened since. What happened is turned into
 * text once, however many watch. Runs in the inspector's thread, and in `kirinc inspect`.
 */
import { Board } from './board.ts';
import { nowMs, type State, type Told } from './records.ts';

export const KEPT_RECORDS_MAX = 5000;
const KEPT_LENGTH_MAX = 4 * 1024 * 1024;
/** Of one message, in characters, by which it may be exceeded by one record. */
const MESSAGE_LENGTH_MAX = 256 * 1024;

/** One message of what happened. */
export interface Batch {
  /** Of its first record; records count on from there. */
  readonly seq: number;
  readonly records: readonly Told[];
  readonly text: string;
}

export class Reel {
  readonly #start = new Board();
  readonly now = new Board();
  #batches: Batch[] = [];
  #records = 0;
  #length = 0;
  /** Of the last record that was told. */
  #seq = 0;
  #beginningTexts: { seq: number; texts: readonly string[] } | undefined;

  get seq(): number {
    return this.#seq;
  }

  /** Of the last record that is in the beginning already. */
  get beginningSeq(): number {
    return this.#seq - this.#records;
  }

  push(records: readonly Told[]): void {
    let texts: string[] = [];
    let length = 0;
    let from = 0;
    for (const [index, record] of records.entries()) {
      const text = JSON.stringify(record);
      this.now.apply(record);
      texts.push(text);
      length += text.length;
      if (length < MESSAGE_LENGTH_MAX && index < records.length - 1) continue;
      this.#add(records.slice(from, index + 1), texts);
      texts = [];
      length = 0;
      from = index + 1;
    }
  }

  /** What was known is no longer so, and there is no past before this moment. */
  reset(state: State): void {
    this.#batches = [];
    this.#records = 0;
    this.#length = 0;
    this.#beginningTexts = undefined;
    for (const board of [this.#start, this.now]) {
      board.clear();
      for (const record of [...state.processes, ...state.actors, ...state.beats]) board.apply(record);
    }
  }

  /** The message with the record after `seq`; undefined where there is none yet, 'gone' where it is kept no more. */
  after(seq: number): Batch | undefined | 'gone' {
    if (seq >= this.#seq) return undefined;
    const first = this.#batches[0];
    if (!first || first.seq > seq + 1) return 'gone';
    let low = 0;
    let high = this.#batches.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#batches[middle]!.seq <= seq + 1) low = middle;
      else high = middle - 1;
    }
    return this.#batches[low];
  }

  /** The beginning, as messages. */
  beginning(): readonly string[] {
    const seq = this.beginningSeq;
    if (this.#beginningTexts?.seq !== seq)
      this.#beginningTexts = { seq, texts: stateMessages(this.#start.state, seq) };
    return this.#beginningTexts.texts;
  }

  /** The present, as messages. */
  present(): readonly string[] {
    return stateMessages(this.now.state, this.#seq);
  }

  /**
   * The beginning and what happened since, by now, as messages. Who reads them slowly is told the present where the rest is
   * kept no more.
   */
  *story(): Generator<string> {
    let seq = this.beginningSeq;
    const end = this.#seq;
    yield* this.beginning();
    while (seq < end) {
      const batch = this.after(seq);
      if (!batch) return;
      if (batch === 'gone') {
        yield `{"type":"lost","records":${this.#seq - seq}}`;
        return yield* this.present();
      }
      seq = batch.seq + batch.records.length - 1;
      yield batch.text;
    }
  }

  #add(records: readonly Told[], texts: readonly string[]): void {
    const seq = this.#seq + 1;
    const text = `{"type":"records","seq":${seq},"records":[${texts.join(',')}]}`;
    this.#batches.push({ seq, records, text });
    this.#seq += records.length;
    this.#records += records.length;
    this.#length += text.length;
    while (this.#batches.length > 1 && (this.#records > KEPT_RECORDS_MAX || this.#length > KEPT_LENGTH_MAX)) {
      const oldest = this.#batches.shift()!;
      this.#records -= oldest.records.length;
      this.#length -= oldest.text.length;
      for (const record of oldest.records) this.#start.apply(record);
      this.#beginningTexts = undefined;
    }
  }
}

/** In as many parts as it takes. */
export function stateMessages(state: State, seq: number, at = nowMs()): string[] {
  const parts: { processes: string[]; actors: string[]; beats: string[] }[] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const kind of ['processes', 'actors', 'beats'] as const)
    for (const record of state[kind]) {
      if (length > MESSAGE_LENGTH_MAX) {
        parts.push({ processes: [], actors: [], beats: [] });
        length = 0;
      }
      const text = JSON.stringify(record);
      parts.at(-1)![kind].push(text);
      length += text.length;
    }
  if (parts.length === 0) parts.push({ processes: [], actors: [], beats: [] });
  return parts.map(
    ({ processes, actors, beats }, index) =>
      `{"type":"state","part":${index + 1},"of":${parts.length},"at":${at},"seq":${seq},` +
      `"processes":[${processes.join(',')}],"actors":[${actors.join(',')}],"beats":[${beats.join(',')}]}`,
  );
}
