/** What a word that the server does not know was probably meant to be. */
import { didYouMean } from '../../settings/suggest.ts';
import { ENTRIES } from './core.ts';

const UNKNOWN =
  /^(?:Invalid argument: )?Unknown (?:(command)|(show) target|(worker) action|(dirty) action): (\S+)$/;

/** ` (did you mean "show"?)`, or nothing. */
export function adviceOn(error: string): string {
  const [, isVerb, show, worker, dirty, word] = UNKNOWN.exec(error) ?? [];
  if (word === undefined) return '';
  const verb = show ?? worker ?? dirty;
  const words = ENTRIES.filter((entry) => isVerb || entry.words[0] === verb).map((entry) =>
    isVerb ? entry.words[0]! : entry.words[1]!,
  );
  return didYouMean(word, new Set(words));
}
