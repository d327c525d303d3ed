/** What the settings say of the arbiter's own process. Runs in the arbiter, before it makes or starts anything. */
import type { Settings } from '../settings.ts';
import { titleOf } from './process-title.ts';

/** What it starts inherits the umask. */
export function becomeMaster({ umask, procName, app }: Pick<Settings, 'umask' | 'procName' | 'app'>): void {
  if (umask !== undefined) process.umask(umask);
  process.title = titleOf('master', procName ?? app);
}
