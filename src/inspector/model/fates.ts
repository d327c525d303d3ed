/**
 * What became of actors and processes that are gone: when, how, and as what they were seen last. Bounded by what the timeline
 * keeps. Pure; runs in the browser.
 */
import type { Board } from '../../actors/inspect/board.ts';
import type { State, Told, ToldActor, ToldProcess } from '../../actors/inspect/records.ts';
import { exitOf } from './trouble.ts';

export interface Fate {
  /** Of the record that tells of the end: the moment there is the last at which it was. */
  position: number;
  at: number;
  /** `by SIGKILL`, `with code 1`; empty where nothing more is known. */
  how: string;
  /** It did not end as it should have. */
  bad: boolean;
  actor: ToldActor;
  /** Of the actor, or of the child machine that it is. */
  process: ToldProcess | null;
}

interface Exit {
  how: string;
  bad: boolean;
}

/** Processes whose exit was told, and not yet that they are gone. */
const EXITS_MAX = 1000;

export class Fates {
  #fates = new Map<string, Fate>();
  /** Those of machines, in their order. */
  #machines: Fate[] = [];
  readonly #exits = new Map<number, Exit>();

  of(id: string): Fate | undefined {
    return this.#fates.get(id);
  }

  /** Machines that ended since a time and before a position, latest first. */
  machinesBetween(sinceMs: number, until: number): Fate[] {
    const found: Fate[] = [];
    for (let index = this.#indexFrom(until) - 1; index >= 0; index--) {
      const fate = this.#machines[index]!;
      if (fate.at < sinceMs) break;
      if (this.#fates.get(fate.actor.id) === fate) found.push(fate);
    }
    return found;
  }

  /** @param board as it is before the record. */
  meet(record: Told, position: number, board: Board): void {
    switch (record.t) {
      case 'actor':
        this.#fates.delete(record.id);
        return;
      case 'event':
        return this.#keepExit(record, board);
      case 'gone': {
        const actor = board.actor(record.id);
        if (actor) this.#keep(actor, { position, at: record.at, status: record.status }, board);
        return;
      }
      case 'ended':
        for (const actor of board.actorsOf(record.pid))
          this.#keep(actor, { position, at: record.at, status: '' }, board);
        this.#exits.delete(record.pid);
        return;
      default:
    }
  }

  /** Those that are no longer there after everything was told anew have ended somehow. */
  part(before: Board, after: Board, { position, at }: { position: number; at: number }): void {
    for (const actor of before.state.actors)
      if (!after.actor(actor.id)) this.#keep(actor, { position, at, status: '' }, before);
    for (const { id } of after.state.actors) this.#fates.delete(id);
  }

  /** What is older than what the timeline keeps is forgotten. */
  forgetBefore(position: number): void {
    this.#machines = this.#machines.slice(this.#indexFrom(position));
    for (const [id, fate] of this.#fates) {
      if (fate.position >= position) return;
      this.#fates.delete(id);
    }
  }

  /** The index of the first machine that ended at or after a position. */
  #indexFrom(position: number): number {
    let low = 0;
    let high = this.#machines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#machines[middle]!.position < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #keep(
    actor: ToldActor,
    { position, at, status }: { position: number; at: number; status: string },
    board: Board,
  ): void {
    const pid = actor.about?.pid || actor.pid;
    const exit = this.#exits.get(pid);
    const bad = status === 'error' || (exit?.bad ?? false);
    const how = exit?.how ?? (status === 'error' ? 'by an error' : '');
    const fate = { position, at, how, bad, actor, process: board.process(pid) ?? null };
    // Last in the order, so that those that are forgotten first are first.
    this.#fates.delete(actor.id);
    this.#fates.set(actor.id, fate);
    if (actor.machine !== null) this.#machines.push(fate);
  }

  #keepExit(record: Told & { t: 'event' }, board: Board): void {
    const exit = exitOf(record);
    const pid = exit && board.actor(record.to)?.about?.pid;
    if (!exit || !pid) return;
    this.#exits.set(pid, exit);
    if (this.#exits.size <= EXITS_MAX) return;
    for (const oldest of this.#exits.keys()) {
      this.#exits.delete(oldest);
      return;
    }
  }
}

/** Of the process that it was or was in; undefined where there are none. */
export const slotOf = ({ actor, process }: Fate): number | undefined =>
  actor.about?.slot ?? process?.slot ?? undefined;

/** Who has the slot now of one that ended: a child machine for a child machine, else a process's root. */
export function successorOf(fate: Fate, { actors }: State): ToldActor | undefined {
  const { actor, process } = fate;
  const slot = slotOf(fate);
  const age = actor.about?.age ?? process?.age ?? 0;
  const own = actor.about ? actor.id : process?.parent;
  const pid = Number(own?.split('/')[0]);
  const title = actor.about?.title ?? (process?.process === 'dirtyWorker' ? 'dirty worker' : undefined);
  const next = actors.find(
    ({ about, machine, ...one }) =>
      machine === 'child' &&
      about !== null &&
      about.slot === slot &&
      about.age > age &&
      one.pid === pid &&
      (title === undefined ? about.title === 'worker' : about.title === title),
  );
  if (!next || actor.about) return next;
  return actors.find(({ root, user, parent }) => root && !user && parent === next.id) ?? next;
}
