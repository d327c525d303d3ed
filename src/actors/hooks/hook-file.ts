/** Where a generation finds its hooks. Runs in the arbiter. */
import { realpathSync } from 'node:fs';
import type { HookFile } from '../../settings/hooks-table.ts';
import { FaultError } from '../fault-error.ts';

/** As the app's own, its path is that of one release, wherever a link may lead later. Throws FaultError `settings.invalid`. */
export function resolvedHooks({ file, names }: HookFile): HookFile {
  try {
    return { file: realpathSync(file), names };
  } catch {
    throw new FaultError('settings.invalid', `--config: there is no file ${file}`);
  }
}
