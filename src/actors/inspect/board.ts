/** Everything that is, as far as records told of it. Pure; bounded. */
import type { BeatRecord, State, Told, ToldActor, ToldProcess } from './records.ts';

/** Far above what a server has; those beyond are not kept. */
const ACTORS_MAX = 20_000;
const PROCESSES_MAX = 5000;

export class Board {
  readonly #processes = new Map<number, ToldProcess>();
  readonly #actors = new Map<string, ToldActor>();
  readonly #beats = new Map<number, BeatRecord>();

  apply(record: Told): void {
    switch (record.t) {
      case 'process':
        // A pid that comes again is another process.
        if ((this.#processes.get(record.pid)?.age ?? record.age) !== record.age) this.#drop(record.pid);
        if (this.#processes.size < PROCESSES_MAX) this.#processes.set(record.pid, record);
        return;
      case 'ended':
        return this.#drop(record.pid);
      case 'actor':
        if (this.#actors.size < ACTORS_MAX || this.#actors.has(record.id))
          this.#actors.set(record.id, record);
        return;
      case 'gone':
        return void this.#actors.delete(record.id);
      case 'step': {
        const actor = this.#actors.get(record.id);
        if (!actor) return;
        const { at, status, value, context, about } = record;
        const now = { ...actor, at, status, value };
        if (context !== undefined) now.context = context;
        if (about) now.about = about;
        this.#actors.set(record.id, now);
        return;
      }
      case 'beat':
        if (this.#processes.has(record.pid)) this.#beats.set(record.pid, record);
        return;
      default:
    }
  }

  clear(): void {
    this.#processes.clear();
    this.#actors.clear();
    this.#beats.clear();
  }

  actor(id: string): ToldActor | undefined {
    return this.#actors.get(id);
  }

  process(pid: number): ToldProcess | undefined {
    return this.#processes.get(pid);
  }

  actorsOf(pid: number): ToldActor[] {
    return [...this.#actors.values()].filter((actor) => actor.pid === pid);
  }

  get state(): State {
    return {
      processes: [...this.#processes.values()],
      actors: [...this.#actors.values()],
      beats: [...this.#beats.values()],
    };
  }

  #drop(pid: number): void {
    this.#processes.delete(pid);
    this.#beats.delete(pid);
    for (const [id, actor] of this.#actors) if (actor.pid === pid) this.#actors.delete(id);
  }
}
