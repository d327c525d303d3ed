/** Entry point of the process that looks at the classes of dirty apps; its argument is JSON, a list of `FoundApp`. */
import { oneLine } from '../../settings/one-line.ts';
import type { FoundApp } from '../dirty/apps.ts';
import { inspectDirtyApp } from '../dirty/apps-loading.ts';
import { toFault } from '../fault-error.ts';
import { answerOnce } from '../one-shot/answer.ts';

async function inspect(argument: string): Promise<unknown> {
  const found = JSON.parse(argument) as FoundApp[];
  try {
    const apps = [];
    for (const one of found) apps.push(await inspectDirtyApp(one));
    return { apps };
  } catch (error) {
    return { fault: toFault(error, 'app.loadFailed') };
  }
}

answerOnce(inspect, oneLine);
