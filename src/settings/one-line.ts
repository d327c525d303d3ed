/** Any thrown value as one line. Runs in the arbiter and in the process that evaluates a configuration. */
export function oneLine(error: unknown): string {
  let text: string;
  try {
    text =
      error instanceof Error
        ? (error.name === 'Error' ? '' : `${error.name}: `) + error.message
        : String(error);
  } catch {
    text = 'an error that cannot be shown';
  }
  const [first = '', second = ''] = text.trim().split('\n');
  // jiti has file, line and column of a syntax error on a line of their own.
  const place = /^\s*(\S.*:\d+:\d+)\s*$/.exec(second)?.[1];
  return place === undefined ? first.trimEnd() : `${first.trimEnd()} (${place})`;
}
