/**
 * From what the dirty workers of an edition are started: their apps by slot, their environment, and the tokens they hold.
 * Runs in the dirty arbiter. An app keeps its number on the wire over all editions, since callers know it by that.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { amountsNeeded, appsOfSlot, type Tokens, tokensFor } from '../../machines/allocation.ts';
import type { ProcessInput } from '../../machines/child.ts';
import type { DirtyAppSpec, DirtyGeneration } from '../../machines/events/dirty.ts';
import { FaultError } from '../fault-error.ts';
import type { ProcessLaunch } from '../process.ts';
import { canonicalName } from './app-name.ts';

/** A worker that lives, or is about to. */
export interface Staffed {
  readonly age: number;
  readonly slot: number;
  readonly edition: number;
  readonly apps: readonly DirtyAppSpec[];
  readonly tokens: Tokens;
  /** The path of its own socket. */
  readonly door: string;
}

export interface EditionsDeps {
  socket: string;
  heartbeatMs: number;
  /** A worker is about to be started: the router may let it in when it shows the secret. */
  expect(worker: Staffed, generation: DirtyGeneration, secret: string): void;
}

export class Editions {
  readonly #deps: EditionsDeps;
  readonly #editions = new Map<number, DirtyGeneration>();
  readonly #numbers = new Map<string, number>();
  readonly #staff = new Map<number, Staffed>();
  /** Ages begin anew with each dirty arbiter. */
  readonly #run = randomBytes(3).toString('hex');

  constructor(deps: EditionsDeps) {
    this.#deps = deps;
  }

  /** Remembers an edition, its apps under the numbers that callers know. */
  keep(edition: number, generation: DirtyGeneration): DirtyGeneration {
    const apps = generation.apps.map((app) => ({ ...app, number: this.#numberOf(app.importPath) }));
    const kept = { ...generation, apps };
    this.#editions.set(edition, kept);
    return kept;
  }

  release(edition: number): void {
    this.#editions.delete(edition);
  }

  /** The apps that workers in these slots have, of an edition and of newer ones. */
  appNumbers(oldest: number, slots: readonly number[]): Set<number> {
    const wanted = [...this.#editions].filter(([edition]) => edition >= oldest);
    return new Set(
      wanted.flatMap(([, { apps }]) => slots.flatMap((slot) => appsOfSlot(limitsOf(apps), slot))),
    );
  }

  get(edition: number): DirtyGeneration | undefined {
    return this.#editions.get(edition);
  }

  /** Those that live, by age. */
  get staff(): ReadonlyMap<number, Staffed> {
    return this.#staff;
  }

  /** Its process has ended; one that was killed has left its socket behind. */
  gone(age: number): void {
    const worker = this.#staff.get(age);
    if (!worker) return;
    this.#staff.delete(age);
    rmSync(worker.door, { force: true });
  }

  /** How a worker is started. Throws FaultError where it cannot be given what its apps hold. */
  launch({ age, slot, generation: edition }: ProcessInput): ProcessLaunch<'dirtyWorker'> {
    const generation = this.#editions.get(edition);
    if (!generation) throw new Error(`edition ${edition} is not known`);
    const numbers = appsOfSlot(limitsOf(generation.apps), slot);
    const apps = generation.apps.filter(({ number }) => numbers.includes(number));
    const tokens = this.#tokens(apps, generation);
    const { socket, heartbeatMs } = this.#deps;
    const door = `${socket}-${this.#run}-${age}`;
    const worker: Staffed = { age, slot, edition, apps, tokens, door };
    const secret = randomBytes(16).toString('hex');
    this.#deps.expect(worker, generation, secret);
    this.#staff.set(age, worker);
    const { callTimeoutMs, graceMs, hooks, name, nodeArgs, generation: arbiterGeneration } = generation;
    return {
      cwd: generation.cwd,
      env: { ...generation.env, ...variablesOf(tokens) },
      nodeArgs,
      fds: ['pipe'],
      boot: {
        type: 'worker.boot',
        spec: {
          age,
          slot,
          generation: edition,
          arbiterGeneration,
          socket,
          door,
          secret,
          apps,
          callTimeoutMs,
          graceMs,
          heartbeatMs,
          tokens,
          hooks,
          name,
        },
      },
    };
  }

  /** Tokens that nobody holds: the pool starts no worker before there are enough. */
  #tokens(apps: readonly DirtyAppSpec[], { resources }: DirtyGeneration): Tokens {
    const needed = amountsNeeded(apps);
    const held = [...this.#staff.values()].map((one) => one.tokens);
    const tokens = tokensFor(needed, resources, held);
    if (tokens) return tokens;
    const wanted = Object.entries(needed).map(([name, amount]) => `${amount} ${name}`);
    throw new FaultError(
      'process.spawnFailed',
      `a dirty worker needs ${wanted.join(' and ')}, and others hold too much of it (--dirty-resource)`,
    );
  }

  #numberOf(importPath: string): number {
    const name = canonicalName(importPath);
    const number = this.#numbers.get(name) ?? this.#numbers.size;
    this.#numbers.set(name, number);
    return number;
  }
}

const limitsOf = (apps: readonly DirtyAppSpec[]) =>
  apps.map(({ number, workers }) => ({ number, limit: workers }));

/** `KIRIN_RESOURCE_GPU=0,1` */
const variablesOf = (tokens: Tokens): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tokens).map(([name, held]) => [
      `KIRIN_RESOURCE_${name.toUpperCase().replaceAll('-', '_')}`,
      held.join(','),
    ]),
  );
