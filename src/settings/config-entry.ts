/** Entry point of the process that evaluates one configuration file, whose path is its argument. */
import { answerOnce } from '../actors/one-shot/answer.ts';
import { configValue, separateHooks } from './config-value.ts';
import { oneLine } from './one-line.ts';
import { plainEntries } from './plain-data.ts';

async function evaluate(path: string): Promise<unknown> {
  const { rest, hooks } = separateHooks(await configValue(path));
  return { entries: plainEntries(rest), hooks: [...hooks.keys()] };
}

answerOnce(evaluate, oneLine);
