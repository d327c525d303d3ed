/** Says an app's error in one line. Runs in web workers. */
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

/** Where Kirin's own code lies, whose frames are no place to send a user to. */
// A chunk of the bundles lies one folder below them.
const OWN = new URL(import.meta.url.includes('/chunks/') ? '..' : '.', import.meta.url);

/** A frame of a stack: `    at run (file:///app.js:3:7)`. */
const FRAME = /^\s+at (?:.* \(|async )?((?:file:\/\/)?\/[^()]+):(\d+):\d+\)?$/;
/** The line that Node and the TypeScript loader put near the source of a syntax error: `/app.js:3`. */
const HEAD = /^\s*((?:file:\/\/)?\/[^()]+?):(\d+)(?::\d+)?$/;

/** `TypeError: x is not a function`, without the name where it says nothing, and never more than one line. */
export function errorLine(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${inspect(error, { depth: 0, breakLength: Infinity })}`;
  const message = String(error.message).split('\n', 1)[0]!.trim();
  const name = error.name === 'Error' || message.startsWith(error.name) ? '' : error.name;
  if (message === '') return name || 'Error';
  return name === '' ? message : `${name}: ${message}`;
}

/** Where in the user's files an error was thrown, as `path:line`. */
export function errorPlace(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.stack === undefined) return undefined;
  for (const line of error.stack.split('\n')) {
    const found = FRAME.exec(line) ?? HEAD.exec(line);
    if (found && !asPath(found[1]!).startsWith(asPath(OWN.href))) return `${asPath(found[1]!)}:${found[2]}`;
  }
  return undefined;
}

function asPath(file: string): string {
  try {
    return file.startsWith('file:') ? fileURLToPath(file) : file;
  } catch {
    return file;
  }
}
