/**
 * Watches one system of actors while somebody looks: tells what is, then what happens, as records. Runs in every process.
 * It never throws into the system that it watches. With a hundred processes beside it, each event finds the caches of the
 * processor cold: what is done for one is little, and touches little.
 */
import type { AnyActorRef, InspectionEvent } from 'xstate';
import { clockMs } from './clock.ts';
import { CONTEXT_LENGTH_MAX, DEFINITION_LENGTH_MAX, EVENT_LENGTH_MAX, plain } from './plain.ts';
import type { About, LocalRecord, Plain, Taken } from './records.ts';

const TAKEN_MAX = 50;
const ACTIONS_MAX = 50;
const DEFINITION_DEPTH_MAX = 16;

/** Gives numbers to the actors of this process; one keeps its own for as long as it lives, whoever looks. */
export class ActorNumbers {
  readonly #numbers = new WeakMap<object, number>();
  #last = 0;

  of(actor: object): number {
    const known = this.#numbers.get(actor);
    if (known !== undefined) return known;
    this.#numbers.set(actor, ++this.#last);
    return this.#last;
  }
}

/** What is used of a state node. */
interface Node {
  id: string;
  entry?: readonly unknown[];
  exit?: readonly unknown[];
}
interface Snapshot {
  status: string;
  _nodes?: readonly Node[];
  value?: unknown;
  context?: unknown;
  children?: Record<string, AnyActorRef | undefined>;
}

export interface ProbeOptions {
  root: AnyActorRef;
  numbers: ActorNumbers;
  tell(record: LocalRecord): void;
  /** A user's: the number of the actor that its root hangs under. */
  under?: number;
  /** Whether one more actor may be told of; those beyond stay unseen, and so does what happens to them. */
  hasRoom(): boolean;
  /** It went wrong, and watches no more. */
  failed(error: unknown): void;
}

/** What a machine was last told to look like, so that only changes are told. */
interface Known {
  number: number;
  snapshot: Snapshot;
  about: About | null;
}

interface Step {
  event: Plain;
  snapshot: Snapshot;
  took: Taken[];
  actions: string[];
}

export class Probe {
  readonly #options: ProbeOptions;
  readonly #known = new Map<AnyActorRef, Known>();
  /** Steps whose actions still run. */
  readonly #steps = new Map<AnyActorRef, Step>();
  /** The event that was told of last, which the step that it causes tells of again. */
  #event: object | undefined;
  #plainEvent: Plain = null;
  #subscription: { unsubscribe(): void } | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  /** Tells everything that is to `whole`; what happens from then on is told as it happens. Again where it has begun. */
  start(whole: (record: LocalRecord) => void = this.#options.tell): void {
    const { root } = this.#options;
    try {
      this.#walk(whole);
    } catch (error) {
      return this.#failed(error);
    }
    this.#subscription ??= root.system.inspect((inspection: InspectionEvent) => this.#note(inspection));
  }

  stop(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#known.clear();
    this.#steps.clear();
    this.#event = undefined;
  }

  get count(): number {
    return this.#known.size;
  }

  /** The numbers of the actors that were told of and live. */
  alive(): number[] {
    return [...this.#known.values()].map(({ number }) => number);
  }

  #walk(whole: (record: LocalRecord) => void): void {
    this.#known.clear();
    this.#steps.clear();
    const visit = (actor: AnyActorRef): void => {
      const snapshot = actor.getSnapshot() as Snapshot | undefined;
      if (snapshot?.status !== 'active') return;
      this.#appear(actor, snapshot, whole);
      for (const child of Object.values(snapshot.children ?? {})) if (child) visit(child);
    };
    visit(this.#options.root);
  }

  /** A bug here is none of the machines'. */
  #failed(error: unknown): void {
    this.stop();
    this.#options.failed(error);
  }

  #note(inspection: InspectionEvent): void {
    const actor = inspection.actorRef as AnyActorRef;
    try {
      switch (inspection.type) {
        case '@xstate.event':
          return this.#onEvent(actor, inspection.sourceRef as AnyActorRef | undefined, inspection.event);
        case '@xstate.microstep':
          return this.#onMicrostep(actor, inspection);
        case '@xstate.snapshot':
          return this.#onSnapshot(actor, inspection.event, inspection.snapshot as unknown as Snapshot);
        default:
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #onEvent(actor: AnyActorRef, source: AnyActorRef | undefined, event: { type: string }): void {
    // What an actor sends comes after the step that made it send.
    if (source) this.#tellStep(source);
    // Before this its snapshot may not be looked at.
    if (event.type === 'xstate.init') {
      if (!this.#known.has(actor)) this.#appear(actor, actor.getSnapshot() as Snapshot);
      return;
    }
    const known = this.#known.get(actor);
    if (!known) return;
    this.#event = event;
    this.#plainEvent = plain(event, EVENT_LENGTH_MAX);
    this.#options.tell({
      t: 'event',
      at: clockMs(),
      from: source ? this.#options.numbers.of(source) : null,
      to: known.number,
      event: this.#plainEvent,
    });
    if (source && event.type.startsWith('xstate.error.actor.')) this.#vanish(source, 'error');
  }

  #onMicrostep(actor: AnyActorRef, inspection: InspectionEvent & { type: '@xstate.microstep' }): void {
    const known = this.#known.get(actor);
    if (!known) return;
    const { event, _transitions: transitions } = inspection;
    let step = this.#steps.get(actor);
    const snapshot = inspection.snapshot as unknown as Snapshot;
    if (!step) {
      step = { event: this.#plainOf(event), snapshot, took: [], actions: [] };
      this.#steps.set(actor, step);
    }
    const before = step.took.length > 0 ? step.snapshot : known.snapshot;
    step.snapshot = snapshot;
    if (step.took.length >= TAKEN_MAX) return;
    for (const { source, target, eventType } of transitions)
      step.took.push({ source: source.id, target: (target ?? []).map((node) => node.id), event: eventType });
    putActions(step.actions, before, snapshot, transitions);
  }

  /** Of an event that was sent a moment ago it is known. */
  #plainOf(event: object): Plain {
    return event === this.#event ? this.#plainEvent : plain(event, EVENT_LENGTH_MAX);
  }

  #onSnapshot(actor: AnyActorRef, event: { type: string }, snapshot: Snapshot): void {
    const known = this.#known.get(actor);
    if (!known) return;
    const step = this.#steps.get(actor);
    if (step) step.snapshot = snapshot;
    // Changed without a microstep: what it looked like when it appeared was not all of its start.
    else if (machineOf(actor) !== null && known.snapshot !== snapshot)
      this.#steps.set(actor, { event: this.#plainOf(event), snapshot, took: [], actions: [] });
    this.#tellStep(actor);
    if (snapshot.status !== 'active') this.#vanish(actor, snapshot.status);
  }

  #tellStep(actor: AnyActorRef): void {
    const step = this.#steps.get(actor);
    const known = this.#known.get(actor);
    if (!step || !known) return;
    this.#steps.delete(actor);
    this.#event = undefined;
    const { event, snapshot, took, actions } = step;
    const about = this.#aboutOf(actor, snapshot);
    const isNewAbout = about !== null && JSON.stringify(about) !== JSON.stringify(known.about);
    const isNewContext = snapshot.context !== known.snapshot.context;
    known.snapshot = snapshot;
    known.about = about;
    const { status } = snapshot;
    const value = plain(snapshot.value, EVENT_LENGTH_MAX);
    if (actions.length > ACTIONS_MAX) actions.length = ACTIONS_MAX;
    const told: LocalRecord & { t: 'step' } = {
      t: 'step',
      at: clockMs(),
      id: known.number,
      event,
      status,
      value,
      took,
      actions,
    };
    if (isNewContext) told.context = plain(snapshot.context, CONTEXT_LENGTH_MAX);
    if (isNewAbout) told.about = about;
    this.#options.tell(told);
  }

  #appear(actor: AnyActorRef, snapshot: Snapshot, tell = this.#options.tell): void {
    const { numbers, root, under = 0 } = this.#options;
    if (!this.#options.hasRoom()) return;
    const machine = machineOf(actor);
    const about = this.#aboutOf(actor, snapshot);
    const number = numbers.of(actor);
    this.#known.set(actor, { number, snapshot, about });
    const parent = (actor as { _parent?: AnyActorRef })._parent;
    const user = under > 0;
    tell({
      t: 'actor',
      at: clockMs(),
      id: number,
      parent: actor === root || !parent ? (user ? under : null) : numbers.of(parent),
      name: actor === root && /^x:\d+$/.test(actor.id) ? (machine ?? actor.id) : actor.id,
      machine,
      user,
      status: snapshot.status,
      value: machine === null ? null : plain(snapshot.value, EVENT_LENGTH_MAX),
      context: machine === null ? null : plain(snapshot.context, CONTEXT_LENGTH_MAX),
      about,
      ...(user && machine !== null ? { definition: definitionOf(actor) } : {}),
    });
  }

  /** Only Kirin's own child machines supervise a process. */
  #aboutOf(actor: AnyActorRef, { context }: Snapshot): About | null {
    if (this.#options.under || machineOf(actor) !== 'child') return null;
    const { title = '', age = 0, slot = 0, generation = 0, pid = 0 } = (context ?? {}) as Partial<About>;
    return { title, age, slot, generation, pid };
  }

  #vanish(actor: AnyActorRef, status: string): void {
    if (!this.#known.delete(actor)) return;
    this.#steps.delete(actor);
    this.#options.tell({ t: 'gone', at: clockMs(), id: this.#options.numbers.of(actor), status });
  }
}

interface Logic {
  id?: string;
  root?: unknown;
  config?: unknown;
}
const logicOf = (actor: AnyActorRef): Logic => ((actor as { logic?: Logic }).logic ?? {}) as Logic;

/** Null for plain actors. */
function machineOf(actor: AnyActorRef): string | null {
  const { id, root } = logicOf(actor);
  return root === undefined ? null : String(id ?? 'machine');
}

/** Functions that stand inline have no name to show. */
const definitionOf = (actor: AnyActorRef): Plain =>
  plain(logicOf(actor).config, DEFINITION_LENGTH_MAX, undefined, DEFINITION_DEPTH_MAX);

/** Adds the names of the actions of one microstep: of states that were left, of transitions, of states that were entered. */
function putActions(
  names: string[],
  { _nodes: old = [] }: Snapshot,
  { _nodes: now = [] }: Snapshot,
  transitions: readonly { actions?: readonly unknown[] }[],
): void {
  for (const node of old) if (node.exit && !now.includes(node)) putNames(names, node.exit);
  for (const { actions } of transitions) if (actions) putNames(names, actions);
  for (const node of now) if (node.entry && !old.includes(node)) putNames(names, node.entry);
}

function putNames(names: string[], actions: readonly unknown[]): void {
  for (const action of actions) names.push(actionName(action));
}

function actionName(action: unknown): string {
  if (typeof action === 'string') return action;
  const { type, name } = (action ?? {}) as { type?: unknown; name?: unknown };
  return String(type ?? (name || '(inline)'));
}
