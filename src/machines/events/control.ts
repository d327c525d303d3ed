/**
 * What the control listener, its sessions and the actors that hold their sockets say to each other. Requests that
 * only read are answered by the connection's actor; the machines hear of orders, and of requests that take time.
 *
 * An actor that throws ends its socket or its session and nothing else, but its own cleanup does not run then: what it
 * has open stays open. So a throw is best caught where it happens, and told as `socket.failed` or `connection.closed`.
 */
import type { Fault } from '../faults.ts';
import type { ArbiterOrder } from './arbiter.ts';

/** The ids of the control listeners: the one that may do everything, and the one that may only look. */
export type ControlSocketName = 'control' | 'controlReadonly';

/** What a control listener tells the arbiter. */
export type ControlReport =
  | { type: 'control.opened'; socket: ControlSocketName; path: string }
  /** Told once until it opens; it is tried again where that can help. */
  | { type: 'control.unavailable'; socket: ControlSocketName; fault: Fault };

/** What the actor that has the listening socket tells its listener. */
export type ControlSocketReport =
  | { type: 'socket.opened'; path: string }
  /** `permanent`: trying again would not help. */
  | { type: 'socket.failed'; fault: Fault; permanent: boolean }
  /** Its name is gone from the file system, or somebody else's. */
  | { type: 'socket.lost' }
  /** Also before `socket.opened`; a number is never used twice. */
  | { type: 'connection.accepted'; connection: number };

/** No session for this one: told so, and closed. */
export type ControlSocketOrder = { type: 'connection.refuse'; connection: number };

/** What a session tells its listener. */
export type SessionReport = { type: 'session.ended'; connection: number };

/** What the actor of one connection tells its session. A ticket names a request within this process. */
export type ConnectionReport =
  | { type: 'request.ordered'; ticket: number; order: ArbiterOrder }
  /** A request that takes time; `limited` ones are given up after the time per command. */
  | { type: 'request.began'; ticket: number; limited: boolean }
  | { type: 'request.ended'; ticket: number }
  /** Nothing was said for the idle time. */
  | { type: 'connection.idled' }
  /** The client will send no more. */
  | { type: 'connection.finished' }
  /** A limit or the protocol was violated; the client was told. */
  | { type: 'connection.violated' }
  /** Both ends are closed. */
  | { type: 'connection.closed' };

/** What a session tells the actor of its connection. */
export type ConnectionOrder =
  /** Answer that it took too long. */
  | { type: 'request.expire'; ticket: number }
  /** Write what is left, then close. */
  | { type: 'connection.close' }
  | { type: 'connection.destroy' };
