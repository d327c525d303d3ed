/**
 * Loaded before Kirin in each process of a recorded run (`--import`), which runs from the sources: writes down what its actors
 * are told, where its machines go, and which frames it sends. Nothing of Kirin knows of it. Development only.
 */
import { appendFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { basename } from 'node:path';
import { Actor, type AnyActorRef, type InspectionEvent, StateMachine } from 'xstate';
import {
  FRAME,
  FRAME_BYTES_MAX,
  flagsOf,
  frameBytesOf,
  HEADER_BYTES,
  headerFault,
  typeOf,
} from '../../../actors/dirty/frames.ts';
import { eventTextIn } from '../chart.ts';
import { type Line, RECORDING_VARIABLE } from './lines.ts';

const KINDS: Record<string, string> = {
  'kirin.ts': 'arbiter',
  'worker.ts': 'worker',
  'dirty-arbiter.ts': 'dirty arbiter',
  'dirty-worker.ts': 'dirty worker',
};
const FRAME_TYPES = Object.fromEntries(Object.entries(FRAME).map(([type, number]) => [number, type]));
/** What is drawn of an event beside its type. */
const FACTS = ['signal', 'source', 'cause', 'age'] as const;

/** An actor with what its type does not show. */
type Actual = AnyActorRef & { _parent?: Actual };

const file = process.env[RECORDING_VARIABLE];
const kind = KINDS[basename(process.argv[1] ?? '')];
if (file !== undefined && kind !== undefined)
  record(file, kind === 'arbiter' ? kind : `${kind} ${process.env['KIRIN_WORKER_AGE']}`);

function record(file: string, process_: string): void {
  type Told = Line extends infer L ? (L extends Line ? Omit<L, 'at' | 'process'> : never) : never;
  const write = (told: Told): void => {
    const line = { at: Number(process.hrtime.bigint()), process: process_, ...told };
    appendFileSync(file, `${JSON.stringify(line)}\n`);
  };

  const watch = (inspection: InspectionEvent): void => {
    const { type, actorRef } = inspection;
    if (type === '@xstate.event') {
      const { sourceRef, event } = inspection;
      const facts: Record<string, string> = {};
      for (const name of FACTS) if (event[name] != null) facts[name] = String(event[name]);
      write({ what: 'event', from: pathOf(sourceRef), to: pathOf(actorRef), type: event.type, facts });
    } else if (
      type === '@xstate.microstep' ||
      (type === '@xstate.snapshot' && inspection.event.type === 'xstate.init')
    ) {
      const { value, status } = inspection.snapshot as unknown as { value?: object | string; status: string };
      if (value !== undefined && status !== 'stopped')
        write({ what: 'state', of: pathOf(actorRef), value, by: reasonOf(actorRef, inspection.event.type) });
    }
  };
  const { start } = Actor.prototype;
  Actor.prototype.start = function (this: Actual) {
    if (!this._parent) this.system.inspect(watch);
    return Reflect.apply(start, this, []);
  } as typeof start;

  const send = Socket.prototype.write;
  Socket.prototype.write = function (this: Socket, ...given: unknown[]) {
    if (Buffer.isBuffer(given[0])) for (const frame of framesIn(given[0])) write({ what: 'frame', ...frame });
    return Reflect.apply(send, this, given);
  } as typeof send;
}

/** As the pictures of the machines have it: `after settle`, `claim done`. */
function reasonOf(actor: object, event: string): string {
  const { logic } = actor as { logic?: unknown };
  return logic instanceof StateMachine ? eventTextIn(logic, event) : event;
}

/** `root/pool/child.1`: ids from the root down, which may be called anything. */
function pathOf(actor: object | undefined): string {
  const ids: string[] = [];
  for (let next = actor as Actual | undefined; next; next = next._parent)
    ids.unshift(next._parent ? next.id : 'root');
  return ids.join('/');
}

/** The frames that begin in a piece of what is sent; a large payload that follows in pieces of its own is none. */
function* framesIn(bytes: Buffer): Generator<{ type: string; flags: number }> {
  for (let at = 0; at + HEADER_BYTES <= bytes.length; at += frameBytesOf(bytes, at)) {
    if (headerFault(bytes, at, FRAME_BYTES_MAX) !== undefined) return;
    const frame = bytes.subarray(at);
    yield { type: FRAME_TYPES[typeOf(frame)]!, flags: flagsOf(frame) };
  }
}
