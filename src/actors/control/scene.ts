/**
 * What the machines of the arbiter know, as plain data for those who show it. Runs in the arbiter; reads snapshots and
 * changes nothing.
 */
import type { AnyActorRef } from 'xstate';
import type { ArbiterActor, ArbiterContext } from '../../machines/arbiter.ts';
import type { ChildContext } from '../../machines/child.ts';
import type { Fault } from '../../machines/faults.ts';
import type { Member } from '../../machines/policy.ts';
import { childId, type PoolContext, stallFaultOf } from '../../machines/pool-context.ts';

/** One machine as it stands. */
export interface MachineView {
  /** Its id in the tree: `arbiter`, `pool`, `child.3`, `control`, `session.7`. */
  id: string;
  machine: string;
  state: string;
  /** The state as XState has it. */
  value: unknown;
  pid?: number;
  age?: number;
}

/** One worker as its machine sees it. */
export interface WorkerView {
  member: Member;
  pid: number;
  /** `spawned`, `booting`, `ready`, `draining`, `quitting`, `aborting`, `killing`. */
  state: string;
  onTrial: boolean;
}

interface Snapshot {
  status: string;
  value?: unknown;
  context?: unknown;
  children?: Record<string, AnyActorRef | undefined>;
}

/** Where a state machine of a pool stands: the rollout's and the hiring region's words. */
export interface PoolView {
  context: PoolContext;
  /** `opening`, `settled`, `trying`, `rolling`, `stalled` or `stopping`. */
  rollout: string;
  /** `free` or `coolingDown`; null while there are no regions. */
  hiring: string | null;
}

export class Scene {
  readonly #arbiter: ArbiterActor;

  constructor(arbiter: ArbiterActor) {
    this.#arbiter = arbiter;
  }

  get context(): ArbiterContext {
    return this.#arbiter.getSnapshot().context;
  }

  /** Undefined until the addresses are bound. */
  pool(): PoolView | undefined {
    const pool = this.#snapshotOf('pool');
    if (!pool) return undefined;
    const value = pool.value as { alive?: { running?: Record<string, unknown> } | string } | string;
    const alive = typeof value === 'string' ? value : value.alive;
    const context = pool.context as PoolContext;
    if (typeof alive !== 'object' || !alive.running) return { context, rollout: String(alive), hiring: null };
    const { rollout, hiring } = alive.running;
    return { context, rollout: headOf(rollout), hiring: headOf(hiring) };
  }

  /** All workers that are not reaped, by age. */
  workers(): WorkerView[] {
    const pool = this.#snapshotOf('pool');
    if (!pool) return [];
    const { members, trial } = pool.context as PoolContext;
    const trialNumber = trial?.generation.number;
    return members
      .map((member) => {
        const child = pool.children?.[childId(member.age)]?.getSnapshot() as Snapshot | undefined;
        const { pid = 0 } = (child?.context ?? {}) as Partial<ChildContext>;
        return { member, pid, state: stageOf(child?.value), onTrial: member.generation === trialNumber };
      })
      .sort((a, b) => a.member.age - b.member.age);
  }

  /** Every machine of this process. */
  machines(): MachineView[] {
    const seen: MachineView[] = [];
    const visit = (actor: AnyActorRef): void => {
      const { logic } = actor as unknown as { logic?: { id?: string } };
      const snapshot = actor.getSnapshot() as Snapshot;
      // Plain actors have no states of their own.
      if (snapshot.value === undefined || snapshot.status !== 'active') return;
      const { pid, age } = (snapshot.context ?? {}) as Partial<ChildContext>;
      seen.push({
        id: actor.id,
        machine: logic?.id ?? '',
        state: pathOf(snapshot.value),
        value: snapshot.value,
        ...(pid ? { pid } : {}),
        ...(age === undefined ? {} : { age }),
      });
      for (const child of Object.values(snapshot.children ?? {})) if (child) visit(child);
    };
    visit(this.#arbiter as unknown as AnyActorRef);
    return seen;
  }

  /** Why replacements fail, while they do. */
  stallFault(): Fault | null {
    const context = this.pool()?.context;
    return context ? stallFaultOf(context) : null;
  }

  #snapshotOf(child: 'pool'): Snapshot | undefined {
    return this.#arbiter.getSnapshot().children[child]?.getSnapshot() as Snapshot | undefined;
  }
}

const headOf = (value: unknown): string =>
  typeof value === 'string' ? value : (Object.keys(value as object)[0] ?? '');

/** `{ alive: { starting: 'booting' } }` as `booting`; `{ alive: { ready: 'fresh' } }` as `ready`. */
export function stageOf(value: unknown): string {
  const alive = typeof value === 'object' && value !== null ? (value as { alive?: unknown }).alive : value;
  if (typeof alive !== 'object' || alive === null) return String(alive ?? 'spawned');
  const { starting } = alive as { starting?: string };
  return starting ?? headOf(alive);
}

/** `alive.ready.fresh`; parallel regions as `alive.running.rollout.settled | hiring.free`. */
export function pathOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const entries = Object.entries((value ?? {}) as object);
  return entries.map(([name, inner]) => `${name}.${pathOf(inner)}`).join(' | ');
}
