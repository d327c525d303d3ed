/**
 * What was typed before, kept in the state directory. Several shells may run at once: each adds its lines to the end
 * of the file and none writes the whole, but for cutting a file that has become too long. A history that cannot be
 * read or written is none; the shell goes on.
 */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { makeDirectory } from '../../actors/make-directory.ts';

export const HISTORY_LINES_MAX = 1000;
const LINE_LENGTH_MAX = 4096;
/** Of a larger file only the end is read. */
const READ_BYTES_MAX = 256 * 1024;

export class History {
  readonly #path: string | undefined;
  #last: string | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** Oldest first. */
  load(): string[] {
    if (this.#path === undefined) return [];
    try {
      makeDirectory(dirname(this.#path));
      const { text, bytes } = readEnd(this.#path);
      const lines = text.split('\n').filter((line) => line !== '');
      this.#last = lines.at(-1);
      if (lines.length > HISTORY_LINES_MAX || bytes > READ_BYTES_MAX) this.#shorten(lines, bytes);
      chmodSync(this.#path, 0o600);
      return lines.slice(-HISTORY_LINES_MAX);
    } catch {
      return [];
    }
  }

  add(line: string): void {
    if (this.#path === undefined || line === this.#last) return;
    if (line.trim() === '' || line.length > LINE_LENGTH_MAX) return;
    this.#last = line;
    try {
      appendFileSync(this.#path, `${line}\n`, { mode: 0o600 });
    } catch {
      // A read-only home is no reason to stop.
    }
  }

  #shorten(lines: readonly string[], bytes: number): void {
    const path = this.#path!;
    const beside = `${path}.${process.pid}`;
    writeFileSync(beside, `${lines.slice(-HISTORY_LINES_MAX).join('\n')}\n`, { mode: 0o600 });
    // Another shell has written in the meantime: it is cut the next time.
    if (statSync(path).size === bytes) renameSync(beside, path);
  }
}

/** The XDG base directory specification; only absolute paths count. */
export function historyPath(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const state = env['XDG_STATE_HOME'];
  if (state && isAbsolute(state)) return join(state, 'kirin', 'kirinc_history');
  try {
    const home = homedir();
    return isAbsolute(home) ? join(home, '.local', 'state', 'kirin', 'kirinc_history') : undefined;
  } catch {
    return undefined;
  }
}

function readEnd(path: string): { text: string; bytes: number } {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const length = Math.min(size, READ_BYTES_MAX);
    const buffer = Buffer.alloc(length);
    const got = readSync(file, buffer, 0, length, size - length);
    const text = buffer.toString('utf8', 0, got);
    // The first line of an end that was cut out is not whole.
    return { text: size > length ? text.slice(text.indexOf('\n') + 1) : text, bytes: size };
  } finally {
    closeSync(file);
  }
}
