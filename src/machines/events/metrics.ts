/** What is told of requests and of dirty calls, where somebody counts them. No machine hears of it. */
import * as v from 'valibot';
import { count, ms, text } from './lifecycle.ts';

/** Upper bounds of the classes of durations, in seconds; the last class has none. */
export const DURATION_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
/** More status codes than there are. */
const STATUSES_MAX = 1000;

/** Sums since the worker began, so that a report that is lost costs nothing. */
export const TrafficSumsSchema = v.object({
  type: v.literal('worker.metrics'),
  /** How many answers had which status code. */
  statuses: v.pipe(v.array(v.tuple([count, count])), v.maxLength(STATUSES_MAX)),
  /** How many took how long, by class of duration. */
  durations: v.pipe(v.array(count), v.length(DURATION_BOUNDS.length + 1)),
  /** All durations together. */
  totalMs: ms,
  /** Requests whose connection was closed before their answer was complete. */
  aborted: count,
  /** The app's own metrics, as JSON. */
  app: v.optional(text),
});
export type TrafficSums = v.InferOutput<typeof TrafficSumsSchema>;

export const metricsReports = { 'worker.metrics': TrafficSumsSchema };

/** The same for dirty calls, which may be as short as a message and as long as a job. */
export const CALL_BOUNDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
] as const;
/** How a dirty call ends; one that is `overloaded` was refused. */
export const CALL_OUTCOMES = ['ok', 'error', 'timeout', 'cancelled', 'overloaded'] as const;
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

const CallDurationsSchema = v.object({
  /** How many took how long, by class of duration. */
  durations: v.pipe(v.array(count), v.length(CALL_BOUNDS.length + 1)),
  totalMs: ms,
});
export type CallDurations = v.InferOutput<typeof CallDurationsSchema>;

/** Sums of one dirty app since the dirty arbiter began. */
export const CallSumsSchema = v.object({
  type: v.literal('dirty.measured'),
  app: text,
  calls: count,
  errors: count,
  timeouts: count,
  cancelled: count,
  overloaded: count,
  /** From the arrival of a call to its worker, of those that began. */
  waits: CallDurationsSchema,
  /** From the arrival of a call to its end; one for each of `CALL_OUTCOMES`, in their order. */
  ends: v.pipe(v.array(CallDurationsSchema), v.length(CALL_OUTCOMES.length)),
});
export type CallSums = v.InferOutput<typeof CallSumsSchema>;

export const callReports = { 'dirty.measured': CallSumsSchema };
