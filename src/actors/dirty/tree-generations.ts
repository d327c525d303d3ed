/**
 * Which generation the next dirty arbiter is started with, and what becomes of a reload while there is none. Runs in the arbiter,
 * beside the machine of the dirty tree; orders pass here on their way to the dirty arbiter, and what it says on its way back.
 *
 * While one listens a reload is its to try. While there is none the next one is started with the reload's generation: it is the
 * trial, and what is committed stays what it was until the reload says so.
 */
import type { DirtyLinkReport } from '../../machines/dirty-tree.ts';
import type { DirtyArbiterReport, DirtyGeneration, DirtyOrder } from '../../machines/events/dirty.ts';

export interface TreeGenerationsDeps {
  /** Over the link to the dirty arbiter that is linked now. */
  send(order: DirtyOrder): void;
  /** Tells that dirty arbiter to end. */
  quit(): void;
  report(report: DirtyLinkReport): void;
}

interface Reload {
  readonly orderId: number;
  readonly generation: DirtyGeneration;
}

const ENDS: ReadonlySet<string> = new Set([
  'dirty.done',
  'dirty.refused',
  'dirty.failed',
  'dirty.superseded',
]);

export class TreeGenerations {
  readonly #deps: TreeGenerationsDeps;
  #committed: DirtyGeneration | undefined;
  /** How many workers its settings asked for. */
  #wanted = 0;
  /** What the next dirty arbiter is started with. */
  #candidate: Reload | undefined;
  /** What the one that lives was started with, and is not committed. */
  #trial: Reload | undefined;
  /** A newer reload is tried in its place: that is committed, or nothing of the one that lives stays. */
  #isTrialSuperseded = false;
  #isGivenUp = false;
  #isLinked = false;
  #isReady = false;
  /** Reloads that it tries, by their orders. */
  readonly #tried = new Map<number, DirtyGeneration>();

  constructor(deps: TreeGenerationsDeps) {
    this.#deps = deps;
  }

  /** The first generation. */
  begin(generation: DirtyGeneration): void {
    this.#committed = generation;
    this.#wanted = generation.workers;
  }

  get committed(): DirtyGeneration | undefined {
    return this.#committed;
  }

  /** What the one that lives was started with, where that is not committed. */
  get trial(): DirtyGeneration | undefined {
    return this.#trial?.generation;
  }

  /** What a dirty arbiter is started with now. */
  launched(): DirtyGeneration | undefined {
    this.#trial = this.#candidate;
    this.#candidate = undefined;
    this.#isGivenUp = this.#isTrialSuperseded = false;
    return this.#trial?.generation ?? this.#committed;
  }

  linked(): void {
    this.#isLinked = true;
    if (this.#isGivenUp) this.#deps.quit();
  }

  ready(): void {
    // It is leaving already.
    if (this.#isGivenUp) return;
    this.#isReady = true;
    const waiting = this.#candidate;
    this.#candidate = undefined;
    this.#deps.report({ type: 'link.up', orderId: this.#trial?.orderId ?? 0 });
    // It was on its way when the reload came, and is sound after all: it tries it as any other.
    if (waiting) this.pass({ type: 'dirty.replace', ...waiting });
  }

  gone(): void {
    const orderId = this.#trial?.orderId ?? 0;
    this.#trial = undefined;
    this.#isGivenUp = this.#isLinked = this.#isReady = false;
    this.#tried.clear();
    this.#deps.report({ type: 'link.down', orderId });
  }

  /** An order to the dirty arbiter. */
  pass(order: DirtyOrder): void {
    if (order.type === 'dirty.replace') return this.#replace(order);
    const isOf = (one: Reload | undefined): boolean => 'orderId' in order && one?.orderId === order.orderId;
    if (order.type === 'dirty.abandon' && isOf(this.#candidate)) this.#candidate = undefined;
    else if (order.type === 'dirty.abandon' && isOf(this.#trial)) this.#giveUp();
    else if (order.type === 'dirty.commit' && isOf(this.#trial)) {
      this.#commit(this.#trial!.generation);
      this.#trial = undefined;
    } else if (this.#isReady) this.#deps.send(order);
  }

  /** What a dirty arbiter said: it decides what its successor is started with. */
  heard(report: DirtyArbiterReport): void {
    if (report.type === 'dirty.taken' && this.#committed)
      this.#committed = { ...this.#committed, workers: report.total };
    if (report.type === 'dirty.committed') {
      const next = this.#tried.get(report.orderId);
      if (next) {
        this.#commit(next);
        this.#trial = undefined;
      }
    }
    if (!ENDS.has(report.type) || !('orderId' in report) || !this.#tried.delete(report.orderId)) return;
    if (this.#trial && this.#isTrialSuperseded && this.#tried.size === 0) this.#giveUp();
  }

  #replace({ orderId, generation }: Extract<DirtyOrder, { type: 'dirty.replace' }>): void {
    if (this.#isReady) {
      this.#tried.set(orderId, generation);
      this.#isTrialSuperseded = this.#trial !== undefined;
      return this.#deps.send({ type: 'dirty.replace', orderId, generation });
    }
    if (this.#trial) this.#giveUp();
    this.#candidate = { orderId, generation };
  }

  /** Nothing of a trial that failed stays. */
  #giveUp(): void {
    this.#isGivenUp = true;
    if (this.#isLinked) this.#deps.quit();
  }

  #commit(next: DirtyGeneration): void {
    const before = this.#committed;
    // A number that the settings did not change stays what an operator made it.
    const isSame = next.workers === this.#wanted;
    this.#committed = isSame && before ? { ...next, workers: before.workers } : next;
    this.#wanted = next.workers;
  }
}
