/**
 * How wide a text is, without a browser: of each character the wider one of DejaVu Sans and Arial, so that a text fits its
 * box in whichever of the usual fonts a page has. Development only.
 */

/** Hundredths of the font's size, for the characters from space to ~ and those in `FURTHER`. */
const FURTHER = '→↻·…–×';
const REGULAR = [
  32, 41, 46, 84, 64, 96, 78, 28, 40, 40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34,
  34, 84, 84, 84, 56, 102, 69, 69, 73, 78, 67, 62, 78, 76, 30, 50, 67, 56, 87, 75, 79, 67, 79, 73, 67, 62, 74,
  69, 99, 69, 67, 69, 40, 34, 40, 84, 56, 50, 62, 64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 28, 98, 64, 62, 64,
  64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84, 100, 84, 32, 100, 56, 84,
];
const BOLD = [
  35, 46, 53, 84, 70, 101, 88, 31, 46, 46, 53, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40,
  40, 84, 84, 84, 62, 100, 78, 77, 74, 84, 69, 69, 83, 84, 38, 56, 78, 64, 100, 84, 86, 74, 86, 78, 73, 69,
  82, 78, 111, 78, 73, 73, 46, 37, 46, 84, 56, 50, 68, 72, 60, 72, 68, 44, 72, 72, 35, 35, 67, 35, 105, 72,
  69, 72, 72, 50, 60, 48, 72, 66, 93, 65, 66, 59, 72, 37, 72, 84, 100, 84, 38, 100, 56, 84,
];
const WIDEST = 111;

/** In the units of `size`; a character that is not in the table counts as the widest. */
export function textWidth(text: string, size: number, weight: 'regular' | 'bold' = 'regular'): number {
  const table = weight === 'bold' ? BOLD : REGULAR;
  let hundredths = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const index = code < 127 ? code - 32 : 95 + FURTHER.indexOf(character);
    hundredths += (code > 126 && index < 95 ? undefined : table[index]) ?? WIDEST;
  }
  return Math.ceil((hundredths * size) / 10) / 10;
}
