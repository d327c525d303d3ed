/**
 * Who appears in what the page remembers: names of actors and processes, of those that are gone too, since events of the
 * past speak of them. Pure; runs in the browser.
 */
import type { State, Told, ToldActor, ToldProcess } from '../../actors/inspect/records.ts';

export interface Role {
  id: string;
  pid: number;
  /** Of the process: `worker 3`. */
  process: string;
  /** Of the actor in it: `worker`, `pool`, `child.3`. */
  name: string;
  machine: string | null;
}

const TITLES = { web: 'worker', dirtyArbiter: 'dirty arbiter', dirtyWorker: 'dirty worker' } as const;

/** `arbiter`, `worker 3`, `dirty worker 2`. */
export function processTitle({ process, age }: Pick<ToldProcess, 'process' | 'age'>): string {
  if (process === 'arbiter') return 'arbiter';
  return `${TITLES[process] ?? process}${age === null ? '' : ` ${age}`}`;
}

/** An invoked actor that was not named has a long name of XState's: its last part says what it does. */
export const shortName = (name: string): string => /^\d+\.(?:.*\.)?([^.]+)$/.exec(name)?.[1] ?? name;

interface Known {
  parent: string | null;
  name: string;
  machine: string | null;
}

export class Cast {
  static readonly SIZE_MAX = 20_000;
  readonly #actors = new Map<string, Known>();
  readonly #processes = new Map<number, string>();

  get size(): number {
    return this.#actors.size;
  }

  meet(record: Told): void {
    if (record.t === 'actor') this.#meetActor(record);
    else if (record.t === 'process') this.#processes.set(record.pid, processTitle(record));
  }

  meetAll({ processes, actors }: State): void {
    for (const process of processes) this.#processes.set(process.pid, processTitle(process));
    for (const actor of actors) this.#meetActor(actor);
  }

  actor(id: string): Readonly<Known> | undefined {
    return this.#actors.get(id);
  }

  process(pid: number): string {
    return this.#processes.get(pid) ?? `process ${pid}`;
  }

  role(id: string): Role {
    const pid = Number(id.split('/')[0]);
    const known = this.#actors.get(id);
    return {
      id,
      pid,
      process: this.process(pid),
      name: known ? this.#nameOf(known) : `actor ${id.split('/')[1] ?? id}`,
      machine: known?.machine ?? null,
    };
  }

  /** Every child machine has an actor `process`: it is named with its owner. */
  #nameOf({ name, machine, parent }: Known): string {
    const above = machine === null && parent !== null ? this.#actors.get(parent) : undefined;
    return above?.machine === 'child' ? `${above.name} ${name}` : shortName(name);
  }

  #meetActor({ id, name, machine, parent }: ToldActor): void {
    this.#actors.set(id, { name, machine, parent });
  }
}
