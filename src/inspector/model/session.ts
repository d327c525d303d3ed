/** Messages applied in order to what the page remembers, from a server or from the lines of a file. Pure; runs in the browser. */
import type { BeatRecord, Hello, State, Told } from '../../actors/inspect/records.ts';
import { type Incoming, messageOf } from './recording.ts';
import { Series } from './series.ts';
import { Timeline } from './timeline.ts';

export interface Answer {
  id: number;
  ok: boolean;
  data?: unknown;
  error?: string;
}

/** Versions of the messages that this page understands. */
const PROTOCOL = 1;

export class Session {
  hello: Hello | null = null;
  timeline = new Timeline();
  series = new Series();
  /** Records that were dropped on the way here: by the server for this page, or in a process. */
  lost = 0;
  bye: string | null = null;
  problem: string | null = null;
  /** The recent past has been told. */
  present = false;
  #seq = 0;
  #parts: State = { processes: [], actors: [], beats: [] };
  #partsWeight = 0;
  /** After a short break, what the same server tells next joins what is known. */
  #joining = false;
  /** The state that is being told is known already. */
  #known = false;
  readonly #answered: (answer: Answer) => void;

  constructor(answered: (answer: Answer) => void = () => {}) {
    this.#answered = answered;
  }

  take(text: string): void {
    const message = messageOf(text);
    if (message) this.#apply(message, text.length);
  }

  #apply(message: Incoming, weight: number): void {
    switch (message.type) {
      case 'hello':
        return this.#meet(message as unknown as Hello);
      case 'state':
        return this.#takeState(
          message as unknown as State & { part: number; of: number; seq: number },
          weight,
        );
      case 'records':
        return this.#takeRecords(message as unknown as { seq: number; records: Told[] }, weight);
      case 'live':
        this.present = true;
        return;
      case 'lost':
        this.lost += Number(message['records']) || 0;
        return;
      case 'answer':
        return this.#answered(message as unknown as Answer);
      case 'bye':
        this.bye = String(message['reason']);
        return;
      default:
    }
  }

  #meet(hello: Hello): void {
    if (hello.protocol !== PROTOCOL)
      this.problem = `This page speaks version ${PROTOCOL} of the protocol, the server version ${hello.protocol}: load it anew`;
    this.#joining = hello.pid === this.hello?.pid && hello.source === 'live';
    if (this.hello && hello.source === 'recording') this.timeline = new Timeline();
    // The records of another server count from the beginning.
    if (!this.#joining) this.#seq = 0;
    this.hello = hello;
    this.bye = null;
    this.present = false;
  }

  #takeState(
    { part, of, seq, processes, actors, beats }: State & { part: number; of: number; seq: number },
    weight: number,
  ): void {
    if (part === 1) {
      this.#known = this.#joining && seq <= this.#seq;
      this.#joining = false;
    }
    if (this.#known) return;
    if (part === 1) {
      this.#parts = { processes: [], actors: [], beats: [] };
      this.#partsWeight = 0;
    }
    this.#partsWeight += weight;
    this.#parts = {
      processes: [...this.#parts.processes, ...processes],
      actors: [...this.#parts.actors, ...actors],
      beats: [...this.#parts.beats, ...beats],
    };
    if (part < of) return;
    this.timeline.reset(this.#parts, this.#partsWeight);
    for (const beat of this.#parts.beats) this.series.push(beat);
    this.#seq = seq;
  }

  #takeRecords({ seq, records }: { seq: number; records: Told[] }, weight: number): void {
    const known = Math.max(0, this.#seq + 1 - seq);
    const news = known === 0 ? records : records.slice(known);
    if (news.length === 0) return;
    this.#seq = seq + records.length - 1;
    for (const record of news) {
      if (record.t === 'beat') this.series.push(record as BeatRecord);
      else if (record.t === 'lost') this.lost += record.records;
    }
    this.timeline.push(news, weight);
  }
}
