/** What of the settings of `watching-table.ts` cannot be meant. Runs in the arbiter, when settings are read. */
import { parseAddress } from '../actors/address.ts';
import type { Settings } from '../settings.ts';
import { invalid } from './parse.ts';

const PORT_MAX = 65_535;
/** A limit below this is a number that lacks its unit. */
const MEMORY_MIN = 16 * 1024 ** 2;

/** Throws FaultError `settings.invalid`. */
export function refuseWatching(settings: Settings): void {
  const { maxMemoryBytes, maxMemoryHardBytes } = settings;
  for (const [flag, bytes] of [
    ['--max-memory', maxMemoryBytes],
    ['--max-memory-hard', maxMemoryHardBytes],
  ] as const)
    if (bytes > 0 && bytes < MEMORY_MIN)
      throw invalid(
        `${flag} must be 0 or at least 16M, not ${bytes} bytes: a worker without an app needs more`,
      );
  if (maxMemoryHardBytes > 0 && maxMemoryBytes >= maxMemoryHardBytes)
    throw invalid(
      '--max-memory must be less than --max-memory-hard: a worker is replaced at the former, and killed at the latter',
    );
  refuseInspectPorts(settings);
}

/** Each slot has a port, and replacements that are tried have none of their own. */
function refuseInspectPorts({ inspect, workers }: Settings): void {
  const address = inspect === undefined ? undefined : parseAddress(inspect);
  if (address?.kind !== 'tcp') return;
  if (address.port === 0)
    throw invalid('--inspect needs a port: slot 0 has it, the other workers those after it');
  if (address.port + workers - 1 > PORT_MAX)
    throw invalid(
      `--inspect ${inspect} leaves no port for some of ${workers} workers: the first must be at most ${PORT_MAX + 1 - workers}`,
    );
}
