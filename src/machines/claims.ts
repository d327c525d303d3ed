/**
 * Children that must hold something of which there is only so much: whom to hire and whom to let go first, so that nothing is ever
 * held twice. Pure: it takes what the policy wants, and lets through what is free. What a child holds is free when it is gone, not
 * when it is told to leave.
 *
 * - A hire for which too little is free waits. If what leaves already frees enough, nobody else has to.
 * - The first candidate of a trial makes room for itself: as many old children leave as its claim takes, those of the highest slots
 *   first, whose code others have too. Further candidates are tried only where all fit beside the whole fleet.
 * - While a committed generation rolls over, old children make room for one new child at a time.
 */
import type { Amounts } from './allocation.ts';
import type { Hire, Member, Plan, View } from './policy.ts';

/** What a generation's children hold, by slot (the last entry is of all slots from there on), and how much there is of it. */
export interface Claims {
  readonly total: Amounts;
  readonly bySlot: readonly Amounts[];
}

export const claimOf = (claims: Claims | undefined, slot: number): Amounts =>
  claims?.bySlot[Math.min(slot, claims.bySlot.length - 1)] ?? {};

/** How many candidates are tried at once where they have claims: as many as fit beside a whole fleet, and one where none does. */
export function candidatesThatFit(
  most: number,
  target: number,
  committed: Claims | undefined,
  trial: Claims | undefined,
): number {
  if (!trial) return most;
  const held = new Held();
  for (let slot = 0; slot < target; slot++) held.add(claimOf(committed, slot));
  let fit = 0;
  for (; fit < most && held.leaves(claimOf(trial, fit), trial.total); fit++) held.add(claimOf(trial, fit));
  return Math.max(1, fit);
}

/** What can be done of a plan now, and who has to go for the rest. */
export function affordable(view: View, wish: Plan): Plan {
  const { committed, trial, claims } = view;
  if (!claims) return wish;
  const held = new Held();
  for (const { holds } of view.members) held.add(holds);
  /** What will be held when everybody who is told to leave is gone. */
  const later = new Held();
  const retired = new Set(wish.retire);
  const stays = view.members.filter(({ age, phase }) => phase !== 'leaving' && !retired.has(age));
  for (const { holds } of stays) later.add(holds);

  const hire: Hire[] = [];
  const retire = [...wish.retire];
  const isOnTrial = ({ generation }: { generation: number }): boolean => generation === trial;
  let isExchanging =
    trial !== null ||
    view.members.some(
      ({ age, phase, holds, generation }) =>
        isSome(holds) &&
        (phase === 'leaving' || retired.has(age) || (phase === 'starting' && generation === committed)),
    );
  // A candidate comes first: the fleet is whole again when the trial is over.
  for (const one of [...wish.hire.filter(isOnTrial), ...wish.hire.filter((each) => !isOnTrial(each))]) {
    const of = isOnTrial(one) ? claims.trial : claims.committed;
    const claim = claimOf(of, one.slot);
    const total = of?.total ?? {};
    // What is free now may be what somebody before it waits for.
    if (!isSome(claim) || (held.leaves(claim, total) && later.leaves(claim, total))) {
      hire.push(one);
      held.add(claim);
      later.add(claim);
      continue;
    }
    if (isOnTrial(one) || !isExchanging)
      for (const victim of victimsFor(one, stays, view)) {
        if (later.leaves(claim, total)) break;
        if (retired.has(victim.age) || !helps(victim.holds, claim)) continue;
        retired.add(victim.age);
        retire.push(victim.age);
        later.remove(victim.holds);
        isExchanging = true;
      }
    // What becomes free is for this one.
    later.add(claim);
  }
  return { hire, retire };
}

/** Who may have to go for it, the best first. */
function victimsFor({ generation }: Hire, members: readonly Member[], { committed, trial }: View): Member[] {
  const some = members.filter((one) =>
    generation === trial ? one.generation !== trial : one.generation < committed || one.recycleDue,
  );
  const isReady = (one: Member): boolean => one.phase === 'ready';
  const fresh = members.filter((one) => one.generation === committed && !one.recycleDue && isReady(one));
  const isReplaced = (one: Member): boolean =>
    one.generation < committed && fresh.some(({ slot }) => slot === one.slot);
  return some.sort(
    (a, b) =>
      Number(isReady(a)) - Number(isReady(b)) ||
      Number(isReplaced(b)) - Number(isReplaced(a)) ||
      b.slot - a.slot ||
      a.age - b.age,
  );
}

const isSome = (amounts: Amounts | undefined): boolean => Object.values(amounts ?? {}).some((one) => one > 0);

/** Whether letting this go helps the claim. */
const helps = (amounts: Amounts = {}, claim: Amounts): boolean =>
  Object.entries(claim).some(([name, amount]) => amount > 0 && (amounts[name] ?? 0) > 0);

/** How much is held of each resource. */
class Held {
  readonly #amounts = new Map<string, number>();

  add(amounts: Amounts = {}): void {
    for (const [name, amount] of Object.entries(amounts)) this.#amounts.set(name, this.#of(name) + amount);
  }

  remove(amounts: Amounts = {}): void {
    for (const [name, amount] of Object.entries(amounts)) this.#amounts.set(name, this.#of(name) - amount);
  }

  /** Whether a claim fits beside what is held. */
  leaves(claim: Amounts, total: Amounts): boolean {
    return Object.entries(claim).every(
      ([name, amount]) => this.#of(name) + amount <= (Object.hasOwn(total, name) ? total[name]! : 0),
    );
  }

  #of(name: string): number {
    return this.#amounts.get(name) ?? 0;
  }
}
