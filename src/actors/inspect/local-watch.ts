/** What is watched in a supervised process: its own machine, and the app's that asked to be seen. */
import type { AnyActorRef } from 'xstate';
import type { Watched } from './outlet.ts';
import { ActorNumbers, Probe } from './probe.ts';
import type { LocalRecord } from './records.ts';
import type { UserRoots } from './user-roots.ts';

/** Actors that are told of, of all systems together. */
const ACTORS_MAX = 1000;
const SYSTEMS_MAX = 200;

export interface LocalWatchDeps {
  root(): AnyActorRef;
  users?: UserRoots;
  notice(text: string): void;
}

export class LocalWatch implements Watched {
  readonly #deps: LocalWatchDeps;
  readonly #numbers = new ActorNumbers();
  readonly #probes = new Map<AnyActorRef, Probe>();
  #tell: (record: LocalRecord) => void = () => {};

  constructor(deps: LocalWatchDeps) {
    this.#deps = deps;
  }

  start(tell: (record: LocalRecord) => void, whole: (record: LocalRecord) => void): void {
    const { users } = this.#deps;
    this.#tell = tell;
    this.#watch(this.#deps.root(), whole);
    if (!users) return;
    for (const root of users.living()) this.#watch(root, whole);
    // It is being made: what it looks like is known a moment later.
    users.onSeen = (root) => queueMicrotask(() => this.#seen(root));
  }

  stop(): void {
    const { users } = this.#deps;
    if (users) users.onSeen = undefined;
    for (const probe of this.#probes.values()) probe.stop();
    this.#probes.clear();
  }

  alive(): number[] {
    return [...this.#probes.values()].flatMap((probe) => probe.alive());
  }

  #seen(root: AnyActorRef): void {
    if (this.#deps.users?.onSeen) this.#watch(root, this.#tell);
  }

  #watch(root: AnyActorRef, whole: (record: LocalRecord) => void): void {
    let probe = this.#probes.get(root);
    if (!probe) {
      if (this.#probes.size >= SYSTEMS_MAX) return;
      probe = this.#probeOf(root);
      this.#probes.set(root, probe);
    }
    probe.start(whole);
  }

  #probeOf(root: AnyActorRef): Probe {
    const own = this.#deps.root();
    const number = this.#numbers.of(root);
    return new Probe({
      root,
      numbers: this.#numbers,
      ...(root === own ? {} : { under: this.#numbers.of(own) }),
      hasRoom: () => [...this.#probes.values()].reduce((sum, { count }) => sum + count, 0) < ACTORS_MAX,
      tell: (record) => {
        this.#tell(record);
        if (record.t !== 'gone' || record.id !== number || root === own) return;
        this.#probes.get(root)?.stop();
        this.#probes.delete(root);
      },
      failed: (error) =>
        this.#deps.notice(
          `this is a bug in Kirin: its inspector failed: ${(error as Error).stack ?? String(error)}`,
        ),
    });
  }
}
