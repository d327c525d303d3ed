/** Text in a given number of terminal columns. Pure. */
import stringWidth from 'string-width';

/** Plain text, cut where it is wider; a character of two columns is never halved. */
export function fit(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  let shown = '';
  let left = columns;
  for (const character of text) {
    left -= stringWidth(character);
    if (left < 0) break;
    shown += character;
  }
  return shown;
}

/** As `fit`, with a mark where something is missing. */
export function fitMarked(text: string, columns: number): string {
  return stringWidth(text) <= columns ? text : `${fit(text, Math.max(0, columns - 1))}…`;
}

/** Exactly so many columns: cut or filled. */
export function cellOf(text: string, columns: number, right = false): string {
  const cut = fit(text, columns);
  const blank = ' '.repeat(Math.max(0, columns - stringWidth(cut)));
  return right ? blank + cut : cut + blank;
}
