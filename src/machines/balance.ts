/**
 * Which workers have more connections than their share, and how many clients they should ask to come again. Pure. Whoever accepts
 * first keeps a connection, so that a burst may end up with one worker; what is asked to reconnect is spread anew.
 */

/** Below this many above the mean nobody is bothered, however few there are. */
const EXCESS_MIN = 3;
/** Nor below this share of the mean. */
const EXCESS_SHARE = 0.1;

export interface Load {
  readonly age: number;
  readonly connections: number;
}

/** For each worker that has too many: how many of its connections should close. */
export function surplus(loads: readonly Load[]): Load[] {
  const { length } = loads;
  if (length < 2) return [];
  const mean = loads.reduce((sum, { connections }) => sum + connections, 0) / length;
  return loads.flatMap(({ age, connections }) => {
    const excess = connections - mean;
    if (excess <= Math.max(EXCESS_MIN, mean * EXCESS_SHARE)) return [];
    // Of those that come again one share comes back to the same worker.
    return [{ age, connections: Math.min(connections, Math.round((excess * length) / (length - 1))) }];
  });
}
