/**
 * Events between processes, which each side tells for itself: what one root gives its link comes out of the actor `process` of its
 * child machine, and the other way. Both tellings are found to be one event by their kind and order. Pure; runs in the browser.
 */
import type { Told } from '../../actors/inspect/records.ts';
import type { Cast } from './cast.ts';
import { eventType } from './states.ts';

type EventRecord = Told & { t: 'event' };

/** One that has waited so long for its other half has none: it was told before anybody watched, or was lost. */
const WAIT_MS = 10_000;
/** Clocks of processes are not quite the same. */
const SKEW_MS = 250;
/** Of one kind in one direction. */
const WAITING_MAX = 64;
const QUEUES_MAX = 10_000;

interface Half {
  position: number;
  at: number;
}
interface Queue {
  sent: Half[];
  received: Half[];
}

const pidOf = (id: string): string => id.split('/')[0]!;

/** Which way between which processes, and which side tells it; undefined for an event within a process. */
function sideOf(
  { from, to, event }: EventRecord,
  cast: Cast,
): { key: string; side: 'sent' | 'received' } | undefined {
  if (from === null || from === to) return undefined;
  const type = eventType(event);
  const told = cast.actor(from);
  const heard = cast.actor(to);
  if (!told || !heard) return undefined;
  // The plain actor that stands for the other process hangs below the machine that speaks with it.
  const isIn = told.machine === null && told.parent === to;
  const isOut = heard.machine === null && heard.parent === from;
  if (isIn === isOut) return undefined;
  const [machineId, machine, name] = isIn ? [to, heard, told.name] : [from, told, heard.name];
  const isUpper =
    (machine.machine === 'child' && name === 'process') ||
    (machine.machine === 'dirtyTree' && name === 'link');
  const isLower =
    name === 'link' && !isUpper && machine.parent !== null && pidOf(machine.parent) !== pidOf(machineId);
  if (!isUpper && !isLower) return undefined;
  const supervisor = isUpper ? machineId : supervisorOf(machine.parent!, type, cast);
  const goesUp = isUpper ? isIn : isOut;
  return { key: `${supervisor} ${goesUp ? 'up' : 'down'} ${type}`, side: isIn ? 'received' : 'sent' };
}

/** Of a dirty arbiter, the dirty tree speaks its own events past the child machine. */
function supervisorOf(child: string, type: string, cast: Cast): string {
  if (!type.startsWith('dirty.')) return child;
  const tree = cast.actor(cast.actor(child)?.parent ?? '')?.parent;
  return tree && cast.actor(tree)?.machine === 'dirtyTree' ? tree : child;
}

export class Pairs {
  #queues = new Map<string, Queue>();
  #other = new Map<number, number>();

  /** Where the other half of an event was told. */
  of(position: number): number | undefined {
    return this.#other.get(position);
  }

  meet(record: Told, position: number, cast: Cast): void {
    if (record.t === 'lost') return this.clear();
    if (record.t !== 'event') return;
    const found = sideOf(record, cast);
    if (!found) return;
    const { key, side } = found;
    const queue = this.#queues.get(key) ?? { sent: [], received: [] };
    const waiting = side === 'sent' ? queue.received : queue.sent;
    const latest = side === 'sent' ? Number.POSITIVE_INFINITY : record.at + SKEW_MS;
    const earliest = side === 'sent' ? record.at - SKEW_MS : record.at - WAIT_MS;
    while (waiting[0] && (waiting[0].at < earliest || waiting[0].at > latest)) waiting.shift();
    const half = waiting.shift();
    if (half) {
      this.#other.set(position, half.position);
      this.#other.set(half.position, position);
    } else {
      queue[side].push({ position, at: record.at });
      if (queue[side].length > WAITING_MAX) queue[side].shift();
    }
    if (queue.sent.length + queue.received.length === 0) this.#queues.delete(key);
    else if (!this.#queues.has(key)) this.#keep(key, queue);
  }

  /** What comes next does not follow from what came. */
  clear(): void {
    this.#queues.clear();
  }

  forgetBefore(position: number): void {
    for (const [one, other] of this.#other) {
      if (Math.max(one, other) >= position) return;
      this.#other.delete(one);
    }
  }

  #keep(key: string, queue: Queue): void {
    this.#queues.set(key, queue);
    if (this.#queues.size <= QUEUES_MAX) return;
    for (const oldest of this.#queues.keys()) {
      this.#queues.delete(oldest);
      return;
    }
  }
}
