/** Arguments out of one text, as `KIRIN_CMD_ARGS` has them: split at blanks, but not within quotes. Runs in the arbiter. */
import { FaultError } from '../actors/fault-error.ts';

const PART = /"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)|([^\s"'\\]+)/gsy;

/** As a POSIX shell would split it, with nothing expanded. Throws FaultError `settings.invalid` for a quote that is not closed. */
export function splitArguments(text: string, origin: string): string[] {
  const found: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < text.length) {
    const blank = /\s+/y;
    blank.lastIndex = at;
    if (blank.test(text)) {
      if (word !== undefined) found.push(word);
      word = undefined;
      at = blank.lastIndex;
      continue;
    }
    PART.lastIndex = at;
    const part = PART.exec(text);
    if (!part)
      throw new FaultError('settings.invalid', `${origin}: a quote is not closed in ${text.slice(at)}`);
    const [, double, single, escaped, plain] = part;
    word = (word ?? '') + (double?.replace(/\\(["\\$`])/g, '$1') ?? single ?? escaped ?? plain ?? '');
    at = PART.lastIndex;
  }
  if (word !== undefined) found.push(word);
  return found;
}
