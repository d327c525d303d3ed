/**
 * What the inspector tells, as data: records of what happens, and the messages that carry them. `docs/inspector-protocol.md` has
 * them in words. Pure; used in every process.
 */

/** Versions of messages and recordings; another one is not read. */
export const INSPECTOR_PROTOCOL = 1;

/** What changes something, for those inspectors that may. */
export const INSPECTOR_COMMANDS = [
  'worker add',
  'worker remove',
  'worker kill',
  'dirty add',
  'dirty remove',
  'reload',
] as const;

export type ProcessKind = 'arbiter' | 'web' | 'dirtyArbiter' | 'dirtyWorker';

/** A value that JSON can say. */
export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };

/** The process that a child machine supervises. */
export interface About {
  title: string;
  age: number;
  slot: number;
  generation: number;
  /** 0 until it is spawned. */
  pid: number;
}

/** A transition that was taken; states by the ids of their nodes. */
export interface Taken {
  source: string;
  target: readonly string[];
  event: string;
}

export interface Figures {
  requests: number;
  requestsPerSecond: number;
  connections: number;
  inFlight: number;
  loopDelayMs: number;
  utilization: number;
  rssBytes: number;
}

/** `Id` is a number within a process, and a text `PID/N` in what watchers are told. */
interface ActorRecord<Id> {
  t: 'actor';
  at: number;
  id: Id;
  parent: Id | null;
  name: string;
  machine: string | null;
  /** Of an app, and no machine of Kirin's. */
  user: boolean;
  status: string;
  value: Plain;
  context: Plain;
  about: About | null;
  /** The configuration of a user's machine. */
  definition?: Plain;
}
interface GoneRecord<Id> {
  t: 'gone';
  at: number;
  id: Id;
  status: string;
}
interface EventRecord<Id> {
  t: 'event';
  at: number;
  from: Id | null;
  to: Id;
  event: Plain;
}
interface StepRecord<Id> {
  t: 'step';
  at: number;
  id: Id;
  event: Plain;
  status: string;
  value: Plain;
  took: readonly Taken[];
  actions: readonly string[];
  /** Both only where they changed. */
  context?: Plain;
  about?: About;
}
export interface ProcessFacts {
  pid: number;
  process: ProcessKind;
  age: number | null;
  slot: number | null;
  generation: number | null;
}
export interface BeatRecord extends Figures {
  t: 'beat';
  at: number;
  pid: number;
}
export interface EndedRecord {
  t: 'ended';
  at: number;
  pid: number;
}

/** As a process tells of itself, and a parent of its children; `at` is of the clock that all have (clock.ts). */
export type LocalRecord =
  | ActorRecord<number>
  | GoneRecord<number>
  | EventRecord<number>
  | StepRecord<number>
  | ({ t: 'process'; at: number } & ProcessFacts)
  | BeatRecord
  | EndedRecord;

export type ToldActor = ActorRecord<string> & { pid: number; root: boolean };
export type ToldProcess = { t: 'process'; at: number; parent: string | null } & ProcessFacts;

/** As watchers are told; `at` is in epoch milliseconds. */
export type Told =
  | ToldActor
  | ToldProcess
  | GoneRecord<string>
  | EventRecord<string>
  | StepRecord<string>
  | BeatRecord
  | EndedRecord
  | { t: 'log'; at: number; level: string; text: string }
  | { t: 'lost'; at: number; pid: number; records: number };

/** Everything that is, at one moment. */
export interface State {
  processes: readonly ToldProcess[];
  actors: readonly ToldActor[];
  beats: readonly BeatRecord[];
}

export interface Hello {
  type: 'hello';
  protocol: number;
  kirin: string;
  node: string;
  pid: number;
  app: string;
  at: number;
  source: 'live' | 'recording';
  control: boolean;
  commands: readonly string[];
  file: string | null;
  from: number | null;
  to: number | null;
}

export type Message =
  | Hello
  | ({ type: 'state'; part: number; of: number; at: number; seq: number } & State)
  | { type: 'records'; seq: number; records: readonly Told[] }
  | { type: 'live'; at: number; seq: number }
  | { type: 'lost'; records: number }
  | { type: 'bye'; reason: string };

/** Epoch milliseconds, with decimals, and monotonic within a process. */
export const nowMs = (): number => roundedMs(performance.timeOrigin + performance.now());

/** To microseconds. */
export const roundedMs = (ms: number): number => Math.round(ms * 1000) / 1000;
