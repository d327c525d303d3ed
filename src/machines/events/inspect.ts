/**
 * What the two ends of any link say of inspection. No machine hears of it: the link's reader hands it to the inspector beside
 * the machine, as heartbeats go into a table.
 */
import * as v from 'valibot';
import { count, text } from './lifecycle.ts';

/** Records in one report; a report of more is not read. */
export const BATCH_RECORDS_MAX = 1000;
/** Actors of one process. */
const ALIVE_MAX = 5000;

/** Orders, down to every process. */
export const inspectOrders = {
  /** Tell everything that is, then what happens; while it is being told: tell everything that is once more. */
  'inspect.start': v.object({ type: v.literal('inspect.start') }),
  'inspect.stop': v.object({ type: v.literal('inspect.stop') }),
};

/** Reports, up from every process; a dirty arbiter passes on those of its workers. */
export const inspectReports = {
  'inspect.batch': v.object({
    type: v.literal('inspect.batch'),
    /** Whose; 0: of the process that this link leads to. */
    pid: count,
    /** Each as JSON, so that who passes them on need not look into them; bounded and redacted by the arbiter's inspector. */
    records: v.pipe(v.array(text), v.maxLength(BATCH_RECORDS_MAX)),
    /** Everything was told: these actors live, and no others. */
    alive: v.optional(v.pipe(v.array(count), v.maxLength(ALIVE_MAX))),
    /** Records that there was no room for. */
    dropped: count,
  }),
};

export type InspectOrder = v.InferOutput<(typeof inspectOrders)[keyof typeof inspectOrders]>;
export type InspectReport = v.InferOutput<(typeof inspectReports)[keyof typeof inspectReports]>;
