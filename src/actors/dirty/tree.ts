/**
 * The arbiter's hold on its dirty tree: a directory for the router's socket and the stash, how a dirty arbiter is started, the
 * link to the one that lives, and questions to it. Runs in the arbiter.
 */
import type { ChildProcess } from 'node:child_process';
import { chownSync, copyFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
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
import type { Guardian } from '../guardian.ts';
import type { HeartbeatTable } from '../heartbeat.ts';
import type { Identity } from '../identity.ts';
import type { InspectedChildren } from '../inspect/children.ts';
import { CallTally } from '../metrics/call-tally.ts';
import { type ProcessDeps, type ProcessHooks, type ProcessLaunch, processActor } from '../process.ts';
import type { Redactor } from '../redaction.ts';
import { TreeGenerations } from './tree-generations.ts';

const STASH = 'stash';
const HEARTBEAT_MS = 1000;
/** How long a dirty arbiter may take to end when its trial was given up. */
const QUIT_MS = 2000;
/** How long a dirty arbiter may take to say how it stands. */
const DESCRIBE_MS = 5000;
/** Questions that may wait for their answer. */
const QUESTIONS_MAX = 64;

export interface TreeDeps {
  heartbeats: HeartbeatTable;
  inspected: InspectedChildren;
  live: Set<ChildProcess>;
  guardian: Guardian;
  redactor: Redactor;
  stashBytesMax: number;
  /** Whether calls are counted for somebody. */
  metrics: boolean;
  /** Takes what dirty processes print, if it is captured. */
  printed: ProcessDeps<'dirtyArbiter'>['printed'] | undefined;
  /** Whose the dirty arbiter is to be, and all it starts; undefined: the arbiter's own. */
  identity: Identity | undefined;
  /** The file that a dirty arbiter runs. */
  arbiterFile: string;
  /** The stash of the old arbiter of an upgrade: what it holds at our start is ours too. */
  stash?: string | undefined;
  notice(text: string): void;
}

export class DirtyTree {
  readonly #deps: TreeDeps;
  readonly #directory: string;
  readonly #generations = new TreeGenerations({
    send: (order) => this.#send?.(order),
    quit: () => this.#send?.({ type: 'worker.quit', orderId: 0, graceMs: QUIT_MS }),
    report: (report) => this.#report(report),
  });
  /** What all dirty arbiters have counted. */
  readonly calls = new CallTally();
  #send: ((order: DirtyArbiterOrder) => void) | undefined;
  #report = (_report: DirtyLinkReport): void => {};
  #pid: number | null = null;
  #isReady = false;
  #hasStash = false;
  #asked = 0;
  readonly #questions = new Map<number, (status: DirtyStatus | undefined) => void>();

  constructor(deps: TreeDeps) {
    this.#deps = deps;
    // Short, since a socket lies in it, and 0700 from its first moment.
    this.#directory = mkdtempSync(join(realpathSync(tmpdir()), 'kirin-'));
    const { identity } = deps;
    if (identity) chownSync(this.#directory, identity.uid, identity.gid);
  }

  /** What callers connect to; the same after each restart of the dirty arbiter. */
  get socket(): string {
    return join(this.#directory, 'dirty.sock');
  }

  /** The file of the stash. */
  get stash(): string {
    return join(this.#directory, STASH);
  }

  /** Null while there is none that is ready. */
  get pid(): number | null {
    return this.#isReady ? this.#pid : null;
  }

  /** What the next dirty arbiter is started with. */
  get committed(): DirtyGeneration | undefined {
    return this.#generations.committed;
  }

  /** The generation to start with. */
  begin(generation: DirtyGeneration): void {
    this.#generations.begin(generation);
  }

  /** The machine with its actors. */
  get machine(): typeof dirtyTreeMachine {
    const { heartbeats, inspected, live, guardian, redactor, printed, arbiterFile, notice } = this.#deps;
    return dirtyTreeMachine.provide({
      actors: {
        link: fromCallback<DirtyOrder>(({ sendBack, receive }) => {
          this.#report = sendBack as (report: DirtyLinkReport) => void;
          receive((order) => this.#generations.pass(order));
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
                  inspected,
                  live,
                  guardian,
                  ...(printed ? { printed } : {}),
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
      this.#generations.linked();
    },
    ready: () => {
      this.#isReady = true;
      this.#generations.ready();
    },
    reported: (_age, report) => this.#hear(report as DirtyArbiterReport),
    gone: () => {
      this.calls.gone();
      this.#pid = null;
      this.#send = undefined;
      this.#isReady = false;
      for (const answer of [...this.#questions.values()]) answer(undefined);
      this.#generations.gone();
    },
  };

  #launch(age: number): ProcessLaunch<'dirtyArbiter'> {
    const generation = this.#generations.launched();
    if (!generation) throw new FaultError('process.spawnFailed', 'there is no generation of dirty workers');
    this.#inheritStash();
    return {
      cwd: this.#directory,
      env: ownEnvironment(),
      fds: [],
      isCaptured: this.#deps.printed !== undefined,
      identity: this.#deps.identity,
      boot: {
        type: 'worker.boot',
        spec: {
          age,
          socket: this.socket,
          stashFile: this.stash,
          stashBytesMax: this.#deps.stashBytesMax,
          heartbeatMs: HEARTBEAT_MS,
          metrics: this.#deps.metrics,
          generation,
        },
      },
    };
  }

  /** As late as can be: what is written to the old one after this is not in ours. */
  #inheritStash(): void {
    const { stash, identity, notice } = this.#deps;
    if (stash === undefined || this.#hasStash) return;
    this.#hasStash = true;
    try {
      copyFileSync(stash, this.stash);
      if (identity) chownSync(this.stash, identity.uid, identity.gid);
    } catch (error) {
      // There was none, or there is none any more.
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') notice(`the stash of the old arbiter is not inherited: ${message}`);
    }
  }

  #hear(report: DirtyArbiterReport): void {
    if (report.type === 'dirty.described') return this.#questions.get(report.orderId)?.(report.status);
    if (report.type === 'dirty.measured') return this.calls.heard(report);
    this.#generations.heard(report);
    if (report.type.startsWith('dirty.')) this.#report(this.#deps.redactor.report(report) as DirtyLinkReport);
  }
}

const ownEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
