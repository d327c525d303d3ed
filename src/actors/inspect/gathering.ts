/**
 * What is still to be told: put into the order in which it happened, over all processes, and told in portions, so that others
 * have their turn in between. Runs where the hub does.
 */
import type { Told } from './records.ts';

/** How long records are gathered before they become a message. */
const GATHER_MS = 100;
/**
 * How long a record waits for those of other processes that come later and happened before it: what they tell is a while on
 * its way. So nothing is received before it was sent.
 */
const SETTLE_MS = 400;
/** Records that are told at once; far fewer than are kept. */
const PORTION = 100;
/** So many that wait to be told are told at once, whether they are settled or not: reading must not outrun telling. */
const GATHERED_MAX = 10_000;

export interface GatheringDeps {
  /** By the clock of the records' times. */
  now(): number;
  tell(portion: readonly Told[]): void;
  /** Calls what it is given. */
  guarded(work: () => void): void;
}

export class Gathering {
  readonly #deps: GatheringDeps;
  #gathered: Told[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** What is settled and still to be told. */
  #telling: Told[] = [];
  #rest: NodeJS.Immediate | undefined;

  constructor(deps: GatheringDeps) {
    this.#deps = deps;
  }

  put(record: Told): void {
    this.#gathered.push(record);
    if (this.#gathered.length + this.#telling.length >= GATHERED_MAX) return this.flush(true);
    this.#flushSoon();
  }

  /** In the order in which it will be told, nearly. */
  *waiting(): Generator<Told> {
    yield* this.#telling;
    yield* this.#gathered;
  }

  /** Tells what is settled; with `all`, everything there is. */
  flush(all = false): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#gathered.length === 0) return this.#tellSome(all);
    // Each process's own order is kept: its times never go back.
    this.#gathered.sort((one, other) => one.at - other.at);
    const settledMs = all ? Number.POSITIVE_INFINITY : this.#deps.now() - SETTLE_MS;
    const first = this.#gathered.findIndex(({ at }) => at > settledMs);
    const settled = first < 0 ? this.#gathered : this.#gathered.slice(0, first);
    this.#gathered = first < 0 ? [] : this.#gathered.slice(first);
    if (this.#gathered.length > 0) this.#flushSoon();
    for (const record of settled) this.#telling.push(record);
    this.#tellSome(all);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    clearImmediate(this.#rest);
    this.#rest = undefined;
    this.#gathered = [];
    this.#telling = [];
  }

  /** In portions, lest the past that is kept be over before those who watch have been told. */
  #tellSome(all: boolean): void {
    clearImmediate(this.#rest);
    this.#rest = undefined;
    while (this.#telling.length > 0) {
      this.#deps.tell(this.#telling.splice(0, PORTION));
      if (all || this.#telling.length === 0) continue;
      this.#rest = setImmediate(() => this.#deps.guarded(() => this.#tellSome(false)));
      return;
    }
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => this.#deps.guarded(() => this.flush()), GATHER_MS).unref();
  }
}
