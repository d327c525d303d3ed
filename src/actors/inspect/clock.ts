/**
 * The clock by which processes tell when something happened: that of the machine since its start, which is one for all of them
 * and never jumps. Runs in every process; the arbiter makes times of day of it.
 */

/** Milliseconds, with decimals. */
export const clockMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;
