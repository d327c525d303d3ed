/**
 * The first workers, started before the rest of the arbiter is loaded: they need as long to start as that does. Runs in the
 * arbiter's process and knows no machine; what it has started the pool finds when it hires. Where anything is out of the
 * ordinary, be it an address in use or a module that is missing, nothing is started here and nothing is left: then the machines
 * do all of it, and tell.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Duplex } from 'node:stream';
import { hooksAt } from '../settings/hooks-table.ts';
import type { Settings, SettingsSource } from '../settings.ts';
import { AT_ONCE_MAX, earlyStart } from '../stages/early.ts';
import { killChild } from './child-kill.ts';
import { encodeFrame, HEADER_BYTES } from './frame.ts';
import { Generations } from './generations.ts';
import type { Identity } from './identity.ts';
import { ListenerTable } from './listeners.ts';
import { LINK_FD, type Placed, processWords, spawnProcess } from './process-spawn.ts';
import type { Redactor } from './redaction.ts';

/** So many in all; the pool hires the others. */
const WORKERS_MAX = availableParallelism() * 2;
/** Until the workers have said more than who they are, they need the processors more than the arbiter does; so long at most. */
const YIELD_MS = 100;
const WORDS = 2;
/** The number of the first generation. */
const FIRST = 1;

export interface HeadStartOptions {
  settings: Settings;
  source: SettingsSource;
  identity: Identity | undefined;
  redactor: Redactor;
  workerFile: string;
  /** Aborted when the server is to stop. */
  stopped: AbortSignal;
}

export interface HeadStart {
  readonly table: ListenerTable;
  readonly generations: Generations;
  /** Where what concerns generations is told from now on. */
  tell(notice: (text: string) => void): void;
  /** The process that was started for this place, if there is one and it lives. */
  take(placed: Placed & { generation: number }): ChildProcess | undefined;
  /** Ends those that nobody took. */
  drop(): void;
}

/** Undefined where the machines are to do it all. What was started before the settings were known is used, or ended, here. */
export async function headStart(options: HeadStartOptions): Promise<HeadStart | undefined> {
  const head = await startHead(options);
  earlyStart()?.dropProcesses();
  return head;
}

async function startHead(options: HeadStartOptions): Promise<HeadStart | undefined> {
  const { settings, source, identity, redactor, workerFile, stopped } = options;
  // Dirty workers are prepared by a process of their own, and a pid file may name a server that lives.
  // Hooks may have to be called before anything is bound or started.
  if (hooksAt('arbiter', settings.hooks)) return undefined;
  if (settings.dirtyWorkers > 0 || (settings.pid !== undefined && existsSync(settings.pid))) return undefined;
  const table = new ListenerTable({ early: earlyStart() });
  const given = new AbortController();
  let notice = (_text: string): void => given.abort();
  const generations = new Generations({
    settings,
    dirtySocket: undefined,
    dirtyPrepared: () => {},
    source,
    identity,
    table,
    random: Math.random,
    redactor,
    notice: (text) => notice(text),
  });
  const early = new Map<number, Early>();
  const drop = (): void => {
    for (const { child } of early.values()) killChild(child);
    early.clear();
  };
  try {
    const { workers } = await generations.prepare(FIRST, AbortSignal.any([given.signal, stopped]));
    for (let slot = 0; slot < Math.min(workers, WORKERS_MAX); slot++) {
      if (slot === AT_ONCE_MAX) await spoken([...early.values()], stopped);
      if (stopped.aborted) break;
      const placed = { age: slot + 1, slot, generation: FIRST };
      const launch = generations.launchOf(placed);
      early.set(placed.age, new Early(started(launch, placed, workerFile), slot, encodeFrame(launch.boot)));
    }
    // Where there are more, this process goes on beside those: the first ones are done, and leave a processor to it.
    if (early.size <= AT_ONCE_MAX) await spoken([...early.values()], stopped);
  } catch {
    drop();
    table.close();
    return undefined;
  }
  return {
    table,
    generations,
    tell(to) {
      notice = to;
    },
    take({ age, slot, generation }) {
      const one = early.get(age);
      early.delete(age);
      const isIt = generation === FIRST && one?.slot === slot;
      if (!isIt) killChild(one?.child);
      return isIt ? one.given() : undefined;
    },
    drop,
  };
}

/** As `spawnProcess`; one that was started so already is taken. */
const started: typeof spawnProcess = (launch, placed, file) =>
  earlyStart()?.adopt(processWords(launch, placed, file)) ?? spawnProcess(launch, placed, file);

/** A process that nobody supervises yet. */
class Early {
  readonly child: ChildProcess;
  readonly slot: number;
  readonly #link: Duplex;
  #heard: Buffer[] = [];
  onWord = (): void => {};

  constructor(child: ChildProcess, slot: number, boot: Buffer) {
    // Where it could not be started, the pool tries again, and tells; then it may have no link either.
    child.on('error', () => this.onWord());
    this.child = child;
    this.slot = slot;
    this.#link = child.stdio[LINK_FD] as Duplex;
    child.on('exit', () => this.onWord());
    this.#link.on('error', () => {});
    this.#link.on('end', () => this.onWord());
    this.#link.on('data', this.#hear);
    this.#link.write(boot);
  }

  /** How many frames it has sent. */
  get words(): number {
    const bytes = Buffer.concat(this.#heard);
    let count = 0;
    for (let at = 0; at + HEADER_BYTES <= bytes.length; count++) at += HEADER_BYTES + bytes.readUInt32BE(at);
    return count;
  }

  /** Its link may end before its end is told: whoever took it then would wait for that for ever. */
  get hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return true;
    return this.#link.readableEnded || this.#link.destroyed;
  }

  /** As if nobody had listened; undefined where it is gone. The link flows from the next turn on. */
  given(): ChildProcess | undefined {
    if (this.hasEnded) {
      killChild(this.child);
      return undefined;
    }
    this.#link.off('data', this.#hear);
    if (this.#heard.length > 0) this.#link.unshift(Buffer.concat(this.#heard));
    this.#link.resume();
    return this.child;
  }

  #hear = (chunk: Buffer): void => {
    this.#heard.push(chunk);
    this.onWord();
  };
}

/** Resolves when each has said more than who it is, or is gone, or soon. */
function spoken(early: readonly Early[], stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const limit = setTimeout(resolve, YIELD_MS);
    const done = (): void => {
      clearTimeout(limit);
      resolve();
    };
    const look = (): void => {
      if (early.every((one) => one.words >= WORDS || one.hasEnded)) done();
    };
    for (const one of early) one.onWord = look;
    stopped.addEventListener('abort', done, { once: true });
    look();
  });
}
