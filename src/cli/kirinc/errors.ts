/**
 * What can go wrong for the user of `kirinc`, each in one line that begins with what happened and ends with what to
 * check. Pure, but for a look at the path that could not be connected to.
 */
import { statSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';

export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** One line for standard error, after `Error: `. */
export class ShellError extends Error {}

/** The server's own words. */
export class WireError extends ShellError {}

/** The connection ended before the answer came. */
export class LostError extends ShellError {}

/** Ctrl-C. */
export class Interrupted extends ShellError {
  constructor() {
    super('Interrupted');
  }
}

/** `What - PATH: what to check`. */
export const told = (what: string, path: string, check: string): string => `${what} - ${path}: ${check}`;

const HINTS: Record<string, string> = {
  ENOENT: 'is Kirin running in this directory? Name its socket with -s PATH',
  ENOTDIR: 'a part of the path is not a directory',
  ECONNREFUSED:
    'nobody listens there any more; it is left over from a server that was killed, start that again',
  ENAMETOOLONG: 'a socket may have about 100 bytes; go to its directory and name it from there',
  EAGAIN: 'the server accepts no connections at the moment; is it stopped or overloaded?',
};

/** What a failed connect means. */
export function connectError(error: NodeJS.ErrnoException, path: string): ShellError {
  const { code = '', errno = 0 } = error;
  const found = lookAt(path);
  // Where nobody listens the kernel says the same of a file that is no socket at all.
  if (found && !found.isSocket()) {
    const kind = found.isDirectory() ? 'a directory' : 'a file';
    return new ShellError(
      told('Not a control socket', path, `it is ${kind}; name the control socket with -s PATH`),
    );
  }
  const hint =
    code === 'EACCES' || code === 'EPERM'
      ? whoMay(found)
      : (HINTS[code] ?? 'name another socket with -s PATH');
  return new ShellError(told(wordsOf(errno) ?? error.message, path, hint));
}

/** `No such file or directory`: the system's words, as other tools spell them. */
function wordsOf(errno: number): string | undefined {
  const words = getSystemErrorMap().get(errno)?.[1];
  return words && words.charAt(0).toUpperCase() + words.slice(1);
}

function lookAt(path: string) {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function whoMay(found: ReturnType<typeof lookAt>): string {
  if (!found) return 'you may not enter its directory; become the user that runs Kirin';
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  return `it belongs to uid ${found.uid} with mode ${mode}; become that user, or set control_socket_mode`;
}

export const protocolError = (path: string, what: string): ShellError =>
  new ShellError(told('Protocol error', path, what));

export const notControlSocket = (path: string): ShellError =>
  new ShellError(
    told(
      'Not a control socket',
      path,
      'what listens there speaks another protocol; name another with -s PATH',
    ),
  );

export const timedOut = (path: string, seconds: number): ShellError =>
  new ShellError(
    told('Timed out', path, `no answer within ${seconds} s; is the server stopped or overloaded?`),
  );
