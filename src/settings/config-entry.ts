/** Entry point of the process that evaluates one configuration file, whose path is its argument. */
import { pathToFileURL } from 'node:url';
import { answerOnce } from '../actors/one-shot/answer.ts';
import { oneLine } from './one-line.ts';
import { plainEntries } from './plain-data.ts';

async function evaluate(path: string): Promise<unknown> {
  const { createJiti } = await import('jiti');
  const jiti = createJiti(pathToFileURL(path).href, { fsCache: false, tryNative: false });
  const exported: unknown = await jiti.import(path, { default: true });
  return plainEntries(typeof exported === 'function' ? await exported() : exported);
}

answerOnce(evaluate, oneLine);
