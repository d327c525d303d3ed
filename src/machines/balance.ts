/**
 * Which workers have more connections than their share, and how many clients they should ask to come again. Pure. Whoever accepts
 * first keeps a connection, so that a burst may end up with one worker; what is asked to reconnect is spread anew.
 */

/** Below this many above the mean nobody is bothered, however few there are. */
const EXCESS_MIN = 3;
/** Nor below this share of the mean. */
const EXCESS_SHARE = 0.1;
/** A connection that gets this part of what one gets on the whole is served as well as others. */
const SERVED_SHARE = 0.75;

export interface Load {
  readonly age: number;
  readonly connections: number;
  readonly requestsPerSecond: number;
}

export interface Shed {
  readonly age: number;
  readonly connections: number;
}

/**
 * For each worker that has too many: how many of its connections should close. Where more workers share a full machine than it
 * has processors (`isCrowded`), spreading makes no more room, and each further worker that is awake costs all of them turns:
 * there a worker with many connections keeps them, as long as each is served as well as those of others.
 */
export function surplus(loads: readonly Load[], isCrowded = false): Shed[] {
  const { length } = loads;
  if (length < 2) return [];
  const total = sum(loads.map(({ connections }) => connections));
  const mean = total / length;
  const served = (sum(loads.map(({ requestsPerSecond }) => requestsPerSecond)) / total) * SERVED_SHARE;
  return loads.flatMap(({ age, connections, requestsPerSecond }) => {
    const excess = connections - mean;
    if (excess <= Math.max(EXCESS_MIN, mean * EXCESS_SHARE)) return [];
    if (isCrowded && requestsPerSecond / connections >= served) return [];
    // Of those that come again one share comes back to the same worker.
    return [{ age, connections: Math.min(connections, Math.round((excess * length) / (length - 1))) }];
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((so, one) => so + one, 0);
