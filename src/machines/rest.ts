/**
 * Which web workers accept nothing new for a while, since enough others do. Pure.
 *
 * All workers accept on one socket, so that each connection wakes every one that is idle. Where more of them share full processors
 * than those can run, the turns that they take from each other for nothing are most of what there is.
 */

/** New connections a second, for each processor: below it the turns lost are few. */
const CONNECTIONS_MIN = 200;
/** Below this part of it those who rest are woken. */
const FEW_SHARE = 0.5;
/** Looks in a row at which the processors must have been full. */
const FULL_LOOKS = 2;
/** For each processor: how many may be told to rest at one look. Each starts a small process. */
const AT_ONCE = 2;
/** After all were woken nobody rests for so long; longer where it was soon again. */
const HOLD_MS = 60_000;
const HOLD_MS_MAX = 15 * 60_000;

/** The machine, as one look finds it. */
export interface Bustle {
  /** Those that the server may use. */
  readonly processors: number;
  /** At so many looks in a row they were full, this one included. */
  readonly fullLooks: number;
  /** Of all workers together. */
  readonly connectionsPerSecond: number;
}

/** A worker that accepts. */
export interface Accepting {
  readonly age: number;
  readonly connections: number;
  /** It may be told to rest: not one that has only just begun. */
  readonly mayRest: boolean;
}

/** So many go on accepting at least: one for each processor, and one that is there when another is busy. */
export const acceptingMin = (processors: number): number => processors + 1;

/** Who is to rest, of those that accept: the ones with the fewest connections, so that nobody who serves much changes. */
export function toRest(accepting: readonly Accepting[], bustle: Bustle): number[] {
  const { processors, fullLooks, connectionsPerSecond } = bustle;
  if (fullLooks < FULL_LOOKS || connectionsPerSecond < CONNECTIONS_MIN * processors) return [];
  const surplus = Math.min(accepting.length - acceptingMin(processors), AT_ONCE * processors);
  if (surplus <= 0) return [];
  return accepting
    .filter(({ mayRest }) => mayRest)
    .sort((one, other) => one.connections - other.connections || other.age - one.age)
    .slice(0, surplus)
    .map(({ age }) => age);
}

/** How many must be woken at once, where so many accept and so many rest. */
export const toWake = (accepting: number, resting: number, processors: number): number =>
  Math.max(0, Math.min(resting, acceptingMin(processors) - accepting));

/** Why all are to be woken; undefined: they are not. */
export function whyWakeAll({
  processors,
  fullLooks,
  connectionsPerSecond,
}: Bustle): 'room' | 'few' | undefined {
  if (fullLooks === 0) return 'room';
  return connectionsPerSecond < CONNECTIONS_MIN * processors * FEW_SHARE ? 'few' : undefined;
}

/** How long nobody rests after a waking of all; `beforeMs`: the same after the last one, 0 where there was none. */
export const holdMs = (beforeMs: number, restedMs: number): number =>
  restedMs < beforeMs ? Math.min(beforeMs * 2, HOLD_MS_MAX) : HOLD_MS;
