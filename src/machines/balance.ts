/**
 * Which workers have more connections than their share, and how many clients they should ask to come again. Pure. Whoever accepts
 * first keeps a connection, so that a burst may end up with one worker; what is asked to reconnect is spread anew.
 */

/** Below this many above the mean nobody is bothered, however few there are. */
const EXCESS_MIN = 3;
/** Nor below this share of the mean. */
const EXCESS_SHARE = 0.1;
/** A connection that gets this part of what those of other workers get is served as well as they are. */
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
 * For each worker that has too many: how many of its connections should close. `crowdedOn`: where more workers share a full machine
 * than it has processors, how many it has. There spreading makes no more room once there is something to do for each processor, and
 * each further worker that is awake costs all of them turns: a worker keeps what it has, up to the share of a processor, as long as
 * each of its connections is served as well as those of others.
 */
export function surplus(loads: readonly Load[], crowdedOn?: number): Shed[] {
  const { length } = loads;
  if (length < 2) return [];
  const total = sum(loads.map(({ connections }) => connections));
  const served = sum(loads.map(({ requestsPerSecond }) => requestsPerSecond));
  const isWithin = (connections: number, share: number): boolean =>
    connections - share <= Math.max(EXCESS_MIN, share * EXCESS_SHARE);
  return loads.flatMap(({ age, connections, requestsPerSecond }) => {
    const excess = connections - total / length;
    if (isWithin(connections, total / length)) return [];
    if (crowdedOn !== undefined && isWithin(connections, total / crowdedOn)) {
      const others = (served - requestsPerSecond) / (total - connections);
      // Where others have none, there is nothing to compare with.
      if (!(requestsPerSecond / connections < others * SERVED_SHARE)) return [];
    }
    // Of those that come again one share comes back to the same worker.
    return [{ age, connections: Math.min(connections, Math.round((excess * length) / (length - 1))) }];
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((so, one) => so + one, 0);
