/**
 * The arbiter's hold on its dirty tree: a directory for the router's socket and the stash, how a dirty arbiter is started, the
 * link to the one that lives, and questions to it. Runs in the arbiter.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromCallback } from 'xstate';
import { childMachine } from '../../machines/child.ts';
import { type DirtyLinkReport, dirtyTreeMachine } from '../../machines/dirty-tree.ts';
import type {
  DirtyArbiterOrder,
  DirtyArbiterReport,
  DirtyGeneration,
  DirtyOrder,
  DirtyStatus,
} from '../../machines/events/dirty.ts';
import { jittered } from '../../machines/policy.ts';
import { poolMachine } from '../../machines/pool.ts';
import { backoffOf } from '../../machines/pool-context.ts';
import { FaultError } from '../fault-error.ts';
import type { HeartbeatTable } from '../heartbeat.ts';
import { type ProcessHooks, type ProcessLaunch, processActor } from '../process.ts';
import type { Redactor } from '../redaction.ts';

const HEARTBEAT_MS = 1000;
/** How long a dirty arbiter may take to say how it stands. */
const DESCRIBE_MS = 5000;
/** Questions that may wait for their answer. */
const QUESTIONS_MAX = 64;

export interface TreeDeps {
  heartbeats: HeartbeatTable;
  live: Set<ChildProcess>;
  redactor: Redactor;
  stashBytesMax: number;
  /** The file that a dirty arbiter runs. */
  arbiterFile: string;
  notice(text: string): void;
}

export class DirtyTree {
  readonly #deps: TreeDeps;
  readonly #directory: string;
  /** What a dirty arbiter is started with: the newest generation that is committed, and as many workers as were ordered. */
  #committed: DirtyGeneration | undefined;
  /** How many workers its settings asked for. */
  #wanted = 0;
  /** Generations on their way, by their orders. */
  readonly #trials = new Map<number, DirtyGeneration>();
  #send: ((order: DirtyArbiterOrder) => void) | undefined;
  #report = (_report: DirtyLinkReport): void => {};
  #pid: number | null = null;
  #isReady = false;
  #asked = 0;
  readonly #questions = new Map<number, (status: DirtyStatus | undefined) => void>();

  constructor(deps: TreeDeps) {
    this.#deps = deps;
    // Short, since a socket lies in it, and 0700 from its first moment.
    this.#directory = mkdtempSync(join(realpathSync(tmpdir()), 'kirin-'));
  }

  /** What callers connect to; the same after each restart of the dirty arbiter. */
  get socket(): string {
    return join(this.#directory, 'dirty.sock');
  }

  /** Null while there is none that is ready. */
  get pid(): number | null {
    return this.#isReady ? this.#pid : null;
  }

  /** The generation to start with. */
  begin(generation: DirtyGeneration): void {
    this.#committed = generation;
    this.#wanted = generation.workers;
  }

  /** The machine with its actors. */
  get machine(): typeof dirtyTreeMachine {
    const { heartbeats, live, redactor, arbiterFile, notice } = this.#deps;
    return dirtyTreeMachine.provide({
      actors: {
        link: fromCallback<DirtyOrder>(({ sendBack, receive }) => {
          this.#report = sendBack as (report: DirtyLinkReport) => void;
          receive((order) => this.#pass(order));
          return () => {
            this.#report = () => {};
          };
        }),
        pool: poolMachine.provide({
          delays: { backoff: ({ context }) => jittered(backoffOf(context), Math.random()) },
          actors: {
            child: childMachine.provide({
              actors: {
                process: processActor({
                  kind: 'dirtyArbiter',
                  title: 'dirty arbiter',
                  launch: ({ age }) => this.#launch(age),
                  hooks: this.#hooks,
                  heartbeats,
                  live,
                  file: arbiterFile,
                  redactor,
                  linkNotice: notice,
                }),
              },
            }),
          },
        }),
      },
    });
  }

  /** How it stands; undefined where there is none that is ready, or it does not say in time. */
  describe(): Promise<DirtyStatus | undefined> {
    const send = this.#send;
    if (!send || !this.#isReady || this.#questions.size >= QUESTIONS_MAX) return Promise.resolve(undefined);
    const orderId = ++this.#asked;
    return new Promise((resolve) => {
      const limit = setTimeout(() => answer(undefined), DESCRIBE_MS);
      const answer = (status: DirtyStatus | undefined): void => {
        clearTimeout(limit);
        this.#questions.delete(orderId);
        resolve(status);
      };
      this.#questions.set(orderId, answer);
      send({ type: 'dirty.describe', orderId });
    });
  }

  /** Removes what it had in the file system. */
  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  readonly #hooks: ProcessHooks<'dirtyArbiter'> = {
    linked: (_age, pid, send) => {
      this.#pid = pid;
      this.#send = send;
    },
    ready: () => {
      this.#isReady = true;
      this.#report({ type: 'link.up' });
    },
    reported: (_age, report) => this.#hear(report as DirtyArbiterReport),
    gone: () => {
      this.#pid = null;
      this.#send = undefined;
      this.#isReady = false;
      this.#trials.clear();
      for (const answer of [...this.#questions.values()]) answer(undefined);
      this.#report({ type: 'link.down' });
    },
  };

  #launch(age: number): ProcessLaunch<'dirtyArbiter'> {
    const generation = this.#committed;
    if (!generation) throw new FaultError('process.spawnFailed', 'there is no generation of dirty workers');
    return {
      cwd: this.#directory,
      env: ownEnvironment(),
      fds: [],
      boot: {
        type: 'worker.boot',
        spec: {
          age,
          socket: this.socket,
          stashFile: join(this.#directory, 'stash'),
          stashBytesMax: this.#deps.stashBytesMax,
          heartbeatMs: HEARTBEAT_MS,
          generation,
        },
      },
    };
  }

  #pass(order: DirtyOrder): void {
    if (order.type === 'dirty.replace') this.#trials.set(order.orderId, order.generation);
    this.#send?.(order);
  }

  #hear(report: DirtyArbiterReport): void {
    if (report.type === 'dirty.described') return this.#questions.get(report.orderId)?.(report.status);
    this.#note(report);
    if (report.type.startsWith('dirty.')) this.#report(this.#deps.redactor.report(report) as DirtyLinkReport);
  }

  /** What the next dirty arbiter is started with, should this one die. */
  #note(report: DirtyArbiterReport): void {
    if (report.type === 'dirty.taken' && this.#committed)
      this.#committed = { ...this.#committed, workers: report.total };
    if (report.type === 'dirty.committed') {
      const next = this.#trials.get(report.orderId);
      const before = this.#committed;
      // A number that the settings did not change stays what an operator made it.
      const isSame = next?.workers === this.#wanted;
      if (next) this.#committed = isSame && before ? { ...next, workers: before.workers } : next;
      if (next) this.#wanted = next.workers;
    }
    if (ENDS.has(report.type) && 'orderId' in report) this.#trials.delete(report.orderId);
  }
}

const ENDS: ReadonlySet<string> = new Set([
  'dirty.done',
  'dirty.refused',
  'dirty.failed',
  'dirty.superseded',
]);

const ownEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
