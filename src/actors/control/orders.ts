/** Commands that change something: each becomes one event to the arbiter machine. Runs in the arbiter. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArbiterReport, OrderEnded } from '../../machines/events/arbiter.ts';
import type { DirtyTree } from '../dirty/tree.ts';
import type { Rotation, Turn } from '../rotation.ts';
import type { Call } from './call.ts';
import { type Command, shown } from './grammar.ts';
import type { Ledger } from './ledger.ts';
import type { Answers, OrderBook, Progress } from './order-book.ts';
import type { Scene } from './scene.ts';

export interface OrdersDeps {
  scene: Scene;
  ledger: Ledger;
  book: OrderBook;
  rotation: Rotation;
  /** Undefined: there are no dirty workers. */
  dirty: DirtyTree | undefined;
}

/** Who asks, as the log says it. */
const source = 'control';
/** The document's words. */
const failure = (error: string) => ({ success: false, error });
const DIRTY_OFF = failure('Dirty arbiter not running');

/** States of a worker that leaves. */
const LEAVING = new Set(['draining', 'quitting', 'aborting', 'killing']);
/** How often it is looked whether dirty workers have gone. */
const GONE_MS = 50;

export class Orders {
  readonly #deps: OrdersDeps;
  readonly #commands: Readonly<Record<string, (command: Command, call: Call) => void>> = {
    'worker add': ({ count = 1, wait }, call) => this.#scale(call, wait, count),
    'worker remove': ({ count = 1, wait }, call) => this.#scale(call, wait, -count),
    'worker kill': ({ pid, word }, call) => this.#kill(call, pid!, word === 'quick'),
    'worker pause': ({ pid }, call) => this.#rotate(call, pid!, 'paused'),
    'worker resume': ({ pid }, call) => this.#rotate(call, pid!, 'resumed'),
    'dirty add': ({ count = 1, wait }, call) => this.#dirtyScale(call, wait, count),
    'dirty remove': ({ count = 1, wait }, call) => this.#dirtyScale(call, wait, -count),
    'dirty cancel': ({ text = '' }, call) => this.#dirtyCancel(call, text),
    reload: ({ wait }, call) => this.#reload(call, wait),
    reopen: (_, call) => this.#reopen(call),
    upgrade: ({ wait }, call) => this.#upgrade(call, wait),
    standby: ({ wait }, call) => this.#standby(call, wait),
    shutdown: ({ wait, word }, call) => this.#shutdown(call, wait, word === 'quick' ? 'quick' : 'graceful'),
  };

  constructor(deps: OrdersDeps) {
    this.#deps = deps;
  }

  /** Carries out a command, or answers false where it is none of these. */
  take(command: Command, call: Call): boolean {
    const carryOut = this.#commands[command.spec.name];
    carryOut?.(command, call);
    return carryOut !== undefined;
  }

  /** The bounds may leave nothing to do, which is an answer and no error. */
  #scale(call: Call, waits: boolean, by: number): void {
    const did = by > 0 ? 'added' : 'removed';
    this.#deps.book.place(
      call,
      waits,
      { type: 'arbiter.scale', by, source },
      {
        accepted: (report) => scaled(did, report),
        refused: (end) => unscaled(did, end),
        ...this.#scaleSteps(by),
      },
    );
  }

  #kill(call: Call, pid: number, quick: boolean): void {
    const found = this.#deps.scene.workers().find((worker) => worker.pid === pid);
    if (pid === process.pid) return call.reply(failure(`${pid} is the arbiter: use "shutdown"`));
    if (pid === this.#deps.dirty?.pid)
      return call.reply(failure(`${pid} is the dirty arbiter: use "dirty" and "reload"`));
    if (!found && this.#deps.dirty) return void this.#killDirty(call, pid, quick);
    this.#retire(call, pid, 'arbiter.retire', found?.member.age, quick);
  }

  /** Which dirty workers there are only their arbiter knows. */
  async #killDirty(call: Call, pid: number, quick: boolean): Promise<void> {
    call.begin(true);
    const status = await this.#deps.dirty?.describe();
    if (!status && !this.#deps.ledger.isGone(pid))
      return call.reply(failure(`Worker ${pid} not found; the dirty arbiter is not ready`));
    const found = status?.workers.find((worker) => worker.pid === pid);
    this.#retire(call, pid, 'arbiter.dirtyRetire', found?.age, quick);
  }

  /** `age` is undefined where there is no such worker (any more). */
  #retire(
    call: Call,
    pid: number,
    type: 'arbiter.retire' | 'arbiter.dirtyRetire',
    age: number | undefined,
    quick: boolean,
  ): void {
    if (age === undefined) {
      const gone = this.#deps.ledger.isGone(pid);
      return call.reply(failure(`Worker ${pid} ${gone ? 'has ended already' : 'not found'}`));
    }
    this.#deps.book.place(
      call,
      false,
      { type, age, leave: quick ? 'quit' : 'drain', source },
      {
        accepted: () => ({ success: true, killed: pid }),
        refused: ({ fault }) =>
          fault?.code === 'order.unknown' ? failure(`Worker ${pid} is leaving already`) : undefined,
      },
    );
  }

  /** It changes no state of any machine; the worker itself says when it is so. */
  async #rotate(call: Call, pid: number, turn: Turn): Promise<void> {
    const { scene, rotation, ledger, dirty } = this.#deps;
    if (pid === process.pid) return call.reply(failure(`${pid} is the arbiter: it accepts no connections`));
    if (pid === dirty?.pid)
      return call.reply(failure(`${pid} is the dirty arbiter: only workers accept connections`));
    const found = scene.workers().find((worker) => worker.pid === pid);
    if (!found)
      return call.reply(failure(`Worker ${pid} ${ledger.isGone(pid) ? 'has ended already' : 'not found'}`));
    if (found.state !== 'ready')
      return call.reply(
        failure(`Worker ${pid} is ${LEAVING.has(found.state) ? 'leaving already' : 'not ready yet'}`),
      );
    call.begin(true);
    const error = await rotation.turn(found.member.age, turn);
    if (error !== undefined) return call.reply(failure(`Worker ${pid} ${error}`));
    const accepting = scene
      .workers()
      .filter(({ member, state }) => state === 'ready' && !rotation.isPaused(member.age));
    call.reply({ success: true, [turn]: pid, accepting: accepting.length });
  }

  #dirtyScale(call: Call, waits: boolean, by: number): void {
    if (!this.#deps.dirty) return call.reply(DIRTY_OFF);
    const [operation, did] = by > 0 ? ['add', 'spawned'] : ['remove', 'removed'];
    this.#deps.book.place(
      call,
      waits,
      { type: 'arbiter.dirtyScale', by, source },
      {
        accepted: (report) => {
          const {
            previous = 0,
            total = 0,
            reason,
          } = report as Extract<ArbiterReport, { type: 'order.taken' }>;
          return {
            ...(waits ? {} : { success: true }),
            operation,
            requested: Math.abs(by),
            [did!]: Math.abs(total - previous),
            total_workers: total,
            target_workers: total,
            ...(reason === undefined ? {} : { reason }),
          };
        },
        refused: ({ fault }) => (waits ? {} : failure(fault?.message ?? 'refused')),
        ...(waits && by < 0 ? { gone: this.#dirtyGone(this.#deps.dirty) } : {}),
      },
    );
  }

  /** Which dirty workers leave only their arbiter knows: it is asked before the order, and after it until they have gone. */
  #dirtyGone(dirty: DirtyTree): (isOver: () => boolean) => Promise<void> {
    const leaving = async (): Promise<number[]> =>
      ((await dirty.describe())?.workers ?? [])
        .filter(({ state }) => LEAVING.has(state))
        .map(({ age }) => age);
    const before = leaving();
    return async (isOver) => {
      const others = new Set(await before);
      let mine = (await leaving()).filter((age) => !others.has(age));
      while (mine.length > 0 && !isOver()) {
        await sleep(GONE_MS);
        const still = new Set(await leaving());
        mine = mine.filter((age) => still.has(age));
      }
    };
  }

  #dirtyCancel(call: Call, id: string): void {
    const number = /^\d{1,10}$/.test(id) ? Number(id) : undefined;
    if (number === undefined)
      return call.fail(`Invalid ID: ${shown(id)} (write the number that "show calls" shows)`);
    if (!this.#deps.dirty) return call.reply(DIRTY_OFF);
    this.#deps.book.place(
      call,
      false,
      { type: 'arbiter.dirtyCancel', call: number, source },
      {
        accepted: () => ({ success: true, cancelled: number }),
        refused: ({ fault }) => failure(fault?.message ?? 'refused'),
      },
    );
  }

  #reload(call: Call, waits: boolean): void {
    this.#deps.book.place(
      call,
      waits,
      { type: 'arbiter.reload', source },
      {
        accepted: () => (waits ? {} : { status: 'reloading' }),
        // Of a reload everything is: workers that come, and those that go.
        concerns: ({ age, generation, dirtyArbiterPid }) =>
          [age, generation, dirtyArbiterPid].some((one) => typeof one === 'number'),
        progress: () => this.#reloadProgress(),
      },
    );
  }

  #reopen(call: Call): void {
    const accepted = () => ({ status: 'reopening' });
    this.#deps.book.place(call, false, { type: 'arbiter.reopen', source }, { accepted });
  }

  /** What the new arbiter does it logs itself. */
  #upgrade(call: Call, waits: boolean): void {
    const accepted = () => (waits ? {} : { status: 'upgrading' });
    this.#deps.book.place(call, waits, { type: 'arbiter.upgrade', source }, { accepted });
  }

  #standby(call: Call, waits: boolean): void {
    this.#deps.book.place(
      call,
      waits,
      { type: 'arbiter.rest', source },
      { accepted: () => (waits ? {} : { status: 'standing_by' }), ...this.#scaleSteps(-this.#workers()) },
    );
  }

  #shutdown(call: Call, waits: boolean, mode: 'graceful' | 'quick'): void {
    const before = this.#workers();
    this.#deps.book.place(
      call,
      waits,
      { type: 'arbiter.stop', mode, source },
      {
        accepted: () => (waits ? { mode } : { status: 'shutting_down', mode }),
        concerns: ({ age, dirtyArbiterPid }) => typeof (age ?? dirtyArbiterPid) === 'number',
        progress: () => ({ done: Math.max(0, before - this.#workers()), total: before }),
      },
    );
  }

  #workers(): number {
    return this.#deps.scene.workers().length;
  }

  /** The steps of an order to scale are those of the workers that it starts, or lets go. */
  #scaleSteps(by: number): Required<Pick<Answers, 'progress' | 'concerns'>> {
    const { scene } = this.#deps;
    const before = scene.context.target;
    const firstAge = this.#nextAge();
    const leaving = (age: number): boolean =>
      scene.workers().some(({ member }) => member.age === age && member.phase === 'leaving');
    const others = new Set(
      scene.workers().flatMap(({ member }) => (member.phase === 'leaving' ? [member.age] : [])),
    );
    const gone = new Set<number>();
    return {
      concerns: ({ age, text }) => {
        if (typeof age !== 'number') return false;
        if (by > 0) return age >= firstAge;
        if (age >= firstAge || others.has(age)) return false;
        const isGone = !scene.workers().some(({ member }) => member.age === age);
        if (isGone && / ended/.test(text)) gone.add(age);
        return isGone || leaving(age);
      },
      progress: () => {
        const total = Math.abs(scene.context.target - before);
        const started = scene
          .workers()
          .filter(({ member }) => member.age >= firstAge && member.phase === 'ready').length;
        return { done: Math.min(total, by > 0 ? started : gone.size), total };
      },
    };
  }

  /** Workers of this age and above are started from now on. */
  #nextAge(): number {
    return this.#deps.scene.pool()?.context.nextAge ?? 1;
  }

  #reloadProgress(): Progress {
    const pool = this.#deps.scene.pool()?.context;
    if (!pool) return { done: 0, total: null };
    const newest = pool.trial?.generation.number ?? pool.committed.number;
    const done = pool.members.filter(({ generation, phase }) => generation === newest && phase === 'ready');
    return { done: done.length, total: pool.target };
  }
}

function scaled(did: string, report: ArbiterReport): object {
  const { previous = 0, total = 0, reason } = report as Extract<ArbiterReport, { type: 'order.taken' }>;
  const count = Math.abs(total - previous);
  return { [did]: count, previous, total, ...(reason === undefined ? {} : { reason }) };
}

function unscaled(did: string, { fault, total }: OrderEnded): object | undefined {
  if (fault?.code !== 'order.outOfBounds' || total === undefined) return undefined;
  return { [did]: 0, previous: total, total, reason: fault.message };
}
