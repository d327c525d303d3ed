/** Whether anybody wants to know what is counted. Runs in the arbiter. */
import type { Settings } from '../../settings.ts';

export const isCounting = ({ metrics, statsdHost }: Settings): boolean =>
  metrics !== undefined || statsdHost !== undefined;
