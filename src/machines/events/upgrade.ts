/**
 * What an upgrade is spoken of with: between the arbiter machine and its successor machine, between that and the process that
 * it watches, and over the pipe between the two arbiters. Pure.
 */
import * as v from 'valibot';
import type { Fault } from '../faults.ts';

/** What the successor machine tells the arbiter machine. */
export type SuccessorReport =
  /** The new arbiter serves beside this one. */
  | { type: 'successor.serving'; orderId: number; pid: number }
  /** It ended, or was given up, before it served. */
  | { type: 'successor.failed'; orderId: number; fault: Fault }
  /** It served, and has ended. */
  | { type: 'successor.gone'; pid: number };

/** What the process actor is told. */
export type SuccessorOrder = { type: 'successor.end'; signal: 'SIGTERM' | 'SIGKILL' };

/** What the process actor tells of the new arbiter. */
export type SuccessorNews =
  | { type: 'successor.started'; pid: number }
  /** It has said that it serves. */
  | { type: 'successor.stands' }
  | { type: 'successor.ended'; fault: Fault };

/** What the actor on the new arbiter's side tells, and is told. */
export type PredecessorReport = { type: 'predecessor.gone'; pid: number };
export type PredecessorOrder =
  /** Take what was the old arbiter's: its pid file, its control sockets, the names of its Unix sockets. */
  { type: 'predecessor.succeed' };

/** The version of what is handed to a new arbiter, which may be of another version of Kirin. */
export const UPGRADE_PROTOCOL = 1;

/** Over the pipe, from the new arbiter to the old one. */
export const successorWords = { 'successor.stands': v.object({ type: v.literal('successor.stands') }) };
/** And from the old one to the new one: what only one of the two can have is free. */
export const predecessorWords = { 'predecessor.yields': v.object({ type: v.literal('predecessor.yields') }) };
export type SuccessorWord = { type: 'successor.stands' };
export type PredecessorWord = { type: 'predecessor.yields' };
