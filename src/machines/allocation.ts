/**
 * Which dirty worker loads which apps and holds which tokens: pure functions of what was asked for. An app that is
 * limited to N workers lies in the slots 0 to N - 1, so that a replacement loads what its predecessor had, and a pool
 * that shrinks lets those go that have the least.
 */

/** An app as far as its place is concerned. */
export interface Limited {
  readonly number: number;
  /** So many workers load it; null: all do. */
  readonly limit: number | null;
}

/** An amount of each resource. */
export type Amounts = Readonly<Record<string, number>>;
/** The tokens held of each resource, numbered from 0. */
export type Tokens = Readonly<Record<string, readonly number[]>>;

/** The numbers of the apps that the worker in this slot loads, in the order they were given. */
export const appsOfSlot = (apps: readonly Limited[], slot: number): number[] =>
  apps.filter((app) => app.limit === null || slot < app.limit).map((app) => app.number);

/** The largest limit of an app; 0 where none has one. */
export const largestLimit = (apps: readonly Limited[]): number =>
  Math.max(0, ...apps.map((app) => app.limit ?? 0));

/** The most workers of which each has an app to load; infinite where an app is for all. */
export const workersUseful = (apps: readonly Limited[]): number =>
  apps.some((app) => app.limit === null) ? Number.POSITIVE_INFINITY : largestLimit(apps);

/** What a worker with these apps must hold: of each resource as much as the app that needs most of it. */
export function amountsNeeded(apps: readonly { readonly resources: Amounts }[]): Amounts {
  const needed = new Map<string, number>();
  for (const { resources } of apps)
    for (const [name, amount] of Object.entries(resources))
      needed.set(name, Math.max(amount, needed.get(name) ?? 0));
  return Object.fromEntries(needed);
}

/** Tokens that nobody holds, the lowest ones first; null where there are too few of a resource. */
export function tokensFor(needed: Amounts, total: Amounts, held: readonly Tokens[]): Tokens | null {
  const taken: [string, number[]][] = [];
  for (const [name, amount] of Object.entries(needed)) {
    const there = Object.hasOwn(total, name) ? total[name]! : 0;
    const busy = new Set(held.flatMap((tokens) => (Object.hasOwn(tokens, name) ? tokens[name]! : [])));
    const free: number[] = [];
    for (let token = 0; token < there && free.length < amount; token++)
      if (!busy.has(token)) free.push(token);
    if (free.length < amount) return null;
    taken.push([name, free]);
  }
  return Object.fromEntries(taken);
}
