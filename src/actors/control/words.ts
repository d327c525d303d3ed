/** A command line split into words as a shell would: quotes and backslashes, nothing is expanded. Pure. */

/** A text that cannot be split: a quotation or an escape is not complete. */
export class WordsError extends Error {}

export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]!;
    if (quote !== '') {
      if (sign === quote) quote = '';
      else if (sign === '\\' && quote === '"' && '"\\'.includes(text[at + 1] ?? ' ')) word += text[++at]!;
      else word += sign;
    } else if (sign === "'" || sign === '"') {
      quote = sign;
      word ??= '';
    } else if (sign === '\\') {
      if (++at === text.length) throw new WordsError('No escaped character');
      word = (word ?? '') + text[at];
    } else if (/\s/.test(sign)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + sign;
  }
  if (quote !== '') throw new WordsError('No closing quotation');
  if (word !== undefined) words.push(word);
  return words;
}
