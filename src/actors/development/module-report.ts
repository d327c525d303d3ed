/** Tells the arbiter what the app is made of. Runs in web workers, with `--reload` alone. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watchLoadFailure } from '../app-loader.ts';
import type { WorkerVoice } from '../supervised-worker.ts';
import { ModuleFiles } from './module-files.ts';

/** From here on, before the app is loaded. */
export function tellModules(generation: number, voice: Pick<WorkerVoice, 'tell' | 'tellNow'>): ModuleFiles {
  let isEnding = false;
  const modules = new ModuleFiles(dirname(fileURLToPath(import.meta.url)), (files) => {
    const report = { type: 'worker.modules', generation, files } as const;
    if (isEnding) voice.tellNow(report);
    else voice.tell(report);
  });
  modules.watch();
  watchLoadFailure((error) => modules.missing(error));
  // A module may end the process while it is loaded.
  process.on('exit', () => {
    isEnding = true;
    modules.flush();
  });
  return modules;
}
