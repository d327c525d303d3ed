/** What must hold of a pool in a simulated world, and of every machine: no event is dropped, no timer is left. */
import type { AnyActorRef, InspectionEvent } from 'xstate';
import { surgeOf } from '../../src/machines/policy.ts';
import type { PoolContext } from '../../src/machines/pool-context.ts';
import type { World } from './world.ts';

/** What must hold after every step. */
export function checkPool(context: PoolContext, world: World, violate: (what: string) => void): void {
  const members = new Map(context.members.map((member) => [member.age, member]));
  for (const { age } of world.live.values())
    if (!members.has(age)) violate(`worker ${age} lives, and the pool does not know it`);
  const active = context.members.filter((member) => member.phase !== 'leaving');
  const surge = Math.max(surgeOf((context.trial?.generation ?? context.committed).surge, context.target), 1);
  if (active.length > context.target + surge)
    violate(
      `${active.length} workers are not leaving, with a target of ${context.target} and a surge of ${surge}`,
    );
  // Those that leave hold it until they are gone.
  const held = new Map<string, number>();
  for (const { holds } of context.members)
    for (const [name, amount] of Object.entries(holds ?? {})) held.set(name, (held.get(name) ?? 0) + amount);
  for (const [name, amount] of held) {
    const total = context.committed.claims?.total[name] ?? context.trial?.generation.claims?.total[name] ?? 0;
    if (amount > total) violate(`${amount} ${name} are held, and there are ${total}`);
  }
  const fresh = active.filter(
    (member) => member.generation === context.committed.number && !member.recycleDue,
  );
  const slots = new Set(fresh.map((member) => member.slot));
  if (slots.size !== fresh.length) violate(`two workers share a slot: ${JSON.stringify(fresh)}`);
  for (const { generation, age } of active)
    if (!world.generations.has(generation))
      violate(`worker ${age} is of generation ${generation}, which is released`);
}

/** What must hold once the faults have stopped. */
export function checkConverged(context: PoolContext, world: World, violate: (what: string) => void): void {
  const ready = context.members.filter((member) => member.phase === 'ready');
  if (ready.length !== context.target || context.members.length !== context.target)
    violate(`not converged: ${JSON.stringify(context.members)} with a target of ${context.target}`);
  if (ready.some((member) => member.generation !== context.committed.number))
    violate('an old generation still serves');
  if (ready.some((member) => member.slot >= context.target)) violate('a worker is out of place');
  if (context.trial || context.rollout) violate('a reload is still under way');
  const left = [...world.generations].filter((generation) => generation !== context.committed.number);
  if (left.length > 0) violate(`generations ${left.join(', ')} were never released`);
}

/** What the machines of a system wait for; the library has no other way to ask. */
export const timersOf = (actor: AnyActorRef): number =>
  Object.keys((actor.system.getSnapshot() as unknown as { _scheduledEvents: object })._scheduledEvents)
    .length;

const nameOf = (event: InspectionEvent): string => (event.actorRef as unknown as { id: string }).id;

/** An event that no state answers is dropped silently: in a simulation that is a failure. */
export function watch(
  event: InspectionEvent,
  trace: (line: string) => void,
  violate: (what: string) => void,
): void {
  if (event.type === '@xstate.snapshot') {
    const snapshot = event.snapshot as { value?: unknown };
    if (snapshot.value !== undefined)
      trace(`${nameOf(event)} ${event.event.type} -> ${JSON.stringify(snapshot.value)}`);
  }
  if (event.type !== '@xstate.microstep') return;
  // A socket or a connection may throw; no machine does.
  if (/^xstate\.error\.actor\.(session|control)/.test(event.event.type)) violate(`${event.event.type} came`);
  const { _transitions } = event as unknown as { _transitions?: unknown[] };
  if (_transitions && _transitions.length === 0 && !event.event.type.startsWith('xstate.'))
    violate(
      `${nameOf(event)} dropped ${event.event.type} in ${JSON.stringify((event.snapshot as { value?: unknown }).value)}`,
    );
}
