/**
 * Whom to hire and whom to retire, and how long to wait after a failure: pure functions of what is known.
 * The pool asks `plan` after every event, and nothing else hires or retires, so nothing races.
 */
import type { Amounts } from './allocation.ts';
import { affordable, type Claims } from './claims.ts';
import type { ChildExit } from './events/child.ts';
import type { Generation } from './events/generation.ts';

/** A child as the pool sees it. */
export interface Member {
  readonly age: number;
  readonly slot: number;
  readonly generation: number;
  readonly phase: 'starting' | 'ready' | 'leaving';
  /** It has answered `max-requests` and is to be replaced, its replacement ready first. */
  readonly recycleDue: boolean;
  /** It is to be replaced for its memory, so that lasting says nothing for its code. */
  readonly swollen?: boolean;
  /** It holds more memory than any may: it is to be killed once enough others are ready. */
  readonly overweight?: boolean;
  /** What it holds until it is gone; undefined: nothing of which there is only so much. */
  readonly holds?: Amounts | undefined;
}

export interface View {
  readonly members: readonly Member[];
  readonly target: number;
  /** The newest generation that passed its commit point. */
  readonly committed: number;
  /** The generation on trial, if there is one. */
  readonly trial: number | null;
  /** Most children beyond the target while a generation is tried or rolled over. */
  readonly surge: number;
  /** Slots whose children failed, and are not replaced yet; candidates do not mind. */
  readonly cooling: readonly number[];
  /** What children of these generations hold; undefined where none holds anything. */
  readonly claims?:
    | { readonly committed: Claims | undefined; readonly trial: Claims | undefined }
    | undefined;
}

export interface Hire {
  readonly generation: number;
  readonly slot: number;
}

export interface Plan {
  readonly hire: readonly Hire[];
  readonly retire: readonly number[];
}

/** A surge setting as a number of children: at least 1, at most the target. */
export function surgeOf(surge: Generation['surge'], target: number): number {
  const wanted = 'count' in surge ? surge.count : Math.ceil((target * surge.percent) / 100);
  return Math.max(1, Math.min(target, wanted));
}

/**
 * What is missing and what is too much.
 *
 * - Children of an abandoned trial go, and candidates beyond the surge when the target shrank.
 * - Outdated children (of an older generation, or due for recycling) are kept only as far as ready up-to-date ones
 *   are missing; so a replacement that fails never costs a ready worker.
 * - Up-to-date children beyond the target go: unready first, then those out of place, then the oldest.
 * - Up-to-date children are hired up to the target, in slots that do not cool down, but with outdated ones still there
 *   never more than `surge` (one, for recycling) beyond the target; while a generation is tried, the fleet is only kept whole.
 * - Where children hold something of which there is only so much, old ones may have to go first: `claims.ts`.
 */
export function plan(view: View): Plan {
  const { hire, retire } = affordable(view, wish(view));
  if (!view.claims || retire.length === 0) return { hire, retire };
  // Who goes to make room for one may make place for others too.
  const members = view.members.map((one) =>
    retire.includes(one.age) ? { ...one, phase: 'leaving' as const } : one,
  );
  const rest = plan({ ...view, members });
  return { hire: rest.hire, retire: [...retire, ...rest.retire] };
}

/** What were to be done if all were there that children hold. */
function wish(view: View): Plan {
  const { target, committed, trial } = view;
  const active = view.members.filter((member) => member.phase !== 'leaving');
  const candidates = active.filter((member) => member.generation === trial);
  const strays = active.filter((member) => member.generation > committed && member.generation !== trial);
  const fresh = active.filter((member) => member.generation === committed && !member.recycleDue);
  const outdated = active.filter((member) => member.generation < committed || isDue(member, committed));

  const readyFresh = fresh.filter(isReady).length;
  const outgoing = outdatedToRetire(outdated, Math.max(0, target - readyFresh), fresh, target);
  // After a shrink, replacements that were still starting may be too many beside what is kept.
  const places = Math.min(target, target + view.surge - (outdated.length - outgoing.length));
  const retired = [...strays, ...firstOf(fresh, fresh.length - places, target, fresh), ...outgoing];
  const gone = new Set(retired.map((member) => member.age));
  // A replacement that is not ready makes room for a canary: what it would have replaced still serves.
  if (trial !== null) {
    const spare = active.length - candidates.length - gone.size - target;
    const unready = fresh.filter((member) => !gone.has(member.age) && !isReady(member));
    for (const member of unready.slice(0, Math.max(0, spare))) gone.add(member.age);
  }
  const staying = [...fresh, ...outdated].filter((member) => !gone.has(member.age));
  const stayingFresh = fresh.filter((member) => !gone.has(member.age));

  const beyond = staying.length === stayingFresh.length ? 0 : headroom(view, outdated);
  const missing = Math.min(target - stayingFresh.length, target + beyond - staying.length);
  const room = Math.max(0, Math.min(view.surge, target + view.surge - staying.length));
  const surplus = firstOf(candidates, candidates.length - room, target, candidates);
  return {
    hire: [
      ...slotsFor(missing, slotsOf(stayingFresh), target, view.cooling).map((slot) => ({
        generation: committed,
        slot,
      })),
      ...(trial === null
        ? []
        : slotsFor(room - candidates.length, slotsOf(candidates), target).map((slot) => ({
            generation: trial,
            slot,
          }))),
    ],
    retire: [...gone, ...surplus.map((member) => member.age)],
  };
}

/**
 * Who is killed for the memory it holds, the oldest first: never so many that less than half of the target would be ready, so that
 * a limit which all of them pass does not take all of them at once. Those that must wait are replaced as outdated ones are.
 */
export function overweightToKill({ members, target }: Pick<View, 'members' | 'target'>): number[] {
  const ready = members.filter(isReady);
  const staying = target === 1 ? 0 : Math.ceil(target / 2);
  return ready
    .filter((member) => member.overweight)
    .map((member) => member.age)
    .sort((a, b) => a - b)
    .slice(0, Math.max(0, ready.length - staying));
}

const isReady = (member: Member): boolean => member.phase === 'ready';
const isDue = (member: Member, committed: number): boolean =>
  member.generation === committed && member.recycleDue;

/** How many beyond the target may live while outdated ones are replaced. */
function headroom(view: View, outdated: readonly Member[]): number {
  if (view.trial !== null) return 0;
  return outdated.some((member) => member.generation < view.committed) ? view.surge : 1;
}

/** Outdated ones that are not ready serve nobody; of the ready ones `keep` stay. */
function outdatedToRetire(
  outdated: readonly Member[],
  keep: number,
  fresh: readonly Member[],
  target: number,
): Member[] {
  const ready = outdated.filter(isReady);
  return [
    ...outdated.filter((member) => !isReady(member)),
    ...firstOf(ready, ready.length - keep, target, fresh),
  ];
}

/**
 * The first so many in the order in which children are retired. Nearly every review retires nobody, and there is one for each
 * report of each child, so that nothing may be looked for which nobody needs.
 */
function firstOf(
  members: readonly Member[],
  count: number,
  target: number,
  fresh: readonly Member[],
): readonly Member[] {
  if (count <= 0) return [];
  /** By slot: the youngest that is ready and in place. */
  const youngest = new Map<number, number>();
  for (const { slot, age } of fresh.filter(isReady))
    youngest.set(slot, Math.max(age, youngest.get(slot) ?? 0));
  const outOfPlace = ({ slot, age }: Member): boolean => slot >= target || (youngest.get(slot) ?? 0) > age;
  return [...members]
    .sort(
      (a, b) =>
        Number(isReady(a)) - Number(isReady(b)) ||
        a.generation - b.generation ||
        Number(outOfPlace(b)) - Number(outOfPlace(a)) ||
        a.age - b.age,
    )
    .slice(0, count);
}

const slotsOf = (members: readonly Member[]): number[] => members.map(({ slot }) => slot);

/** The lowest slots that nobody holds and that are not to wait. */
function slotsFor(
  count: number,
  held: readonly number[],
  target: number,
  cooling: readonly number[] = [],
): number[] {
  const taken = new Set([...held, ...cooling]);
  const slots: number[] = [];
  for (let slot = 0; slot < target && slots.length < count; slot++) if (!taken.has(slot)) slots.push(slot);
  return slots;
}

/** How a child's end is judged: `planned` costs nothing, `killed` came from outside, `crashed` is its own doing. */
export type Judgement = 'planned' | 'killed' | 'crashed';

const FROM_OUTSIDE = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

export function judge(exit: ChildExit): Judgement {
  if (exit.cause === 'ordered' || exit.cause === 'terminated') return 'planned';
  if (exit.stable) return 'planned';
  const killed = exit.cause === 'crashed' && exit.phase === 'ready' && FROM_OUTSIDE.has(exit.signal ?? '');
  return killed ? 'killed' : 'crashed';
}

/** First wait after a failure, and the longest, in milliseconds. */
export const BACKOFF = { baseMs: 100, crashedMaxMs: 30_000, killedMaxMs: 1_000 } as const;

/** How long to wait before the next hire after `failures` failures in a row, before jitter. */
export function backoffMs(failures: number, judgement: Judgement): number {
  if (judgement === 'planned' || failures < 1) return 0;
  const max = judgement === 'killed' ? BACKOFF.killedMaxMs : BACKOFF.crashedMaxMs;
  return Math.min(max, BACKOFF.baseMs * 2 ** Math.min(failures - 1, 20));
}

/** Spreads a wait over its upper half, so that many failures do not come back at once; `chance` is in [0, 1). */
export const jittered = (ms: number, chance: number): number => Math.round(ms / 2 + (ms / 2) * chance);
