/**
 * The files of recordings: what is there before a new one begins is kept where it is evidence, and left alone where it is
 * somebody else's. Runs in the inspector's thread, and in `kirin inspect FILE`.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The last line of a recording whose server ended in good order. */
export const ORDERLY_END = '{"type":"end"}';

/** Recordings of servers that ended without a word; the oldest go. */
const CRASHES_MAX = 3;
const HEAD_BYTES = 64;
const HEAD = /^\{"type":"hello",/;

/** The older part of a recording lies beside it. */
export const olderFile = (file: string): string => `${file}.1`;

/**
 * Makes room for a new recording. What an earlier server recorded becomes the older file, or, where it ended without a word, is
 * kept under a name of its own, which is returned. Throws an Error with one line where FILE is no recording.
 */
export function makeRoom(file: string): string | undefined {
  const known = lookAt(file);
  if (!known) return undefined;
  if (!known.isRecording)
    throw new Error('it is there and is no recording: it is left as it is; name another file');
  if (known.isOrderly) {
    renameSync(file, olderFile(file));
    return undefined;
  }
  const kept = crashName(file);
  moveIfThere(olderFile(file), olderFile(kept));
  renameSync(file, kept);
  for (const old of crashesOf(file).slice(0, -CRASHES_MAX))
    for (const one of [old, olderFile(old)]) rmSync(one, { force: true });
  return kept;
}

interface Known {
  isRecording: boolean;
  isOrderly: boolean;
}

/** Undefined where there is nothing, or nothing in it. */
function lookAt(file: string): Known | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = fstatSync(descriptor);
    if (size === 0) return undefined;
    const end = `${ORDERLY_END}\n`;
    return {
      isRecording: HEAD.test(textAt(descriptor, 0, HEAD_BYTES)),
      isOrderly: textAt(descriptor, Math.max(0, size - end.length), end.length) === end,
    };
  } finally {
    closeSync(descriptor);
  }
}

function textAt(descriptor: number, position: number, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, bytes, position));
}

/** By when it was last written, which is about when its server died: `FILE.crash-20260101T120000`. */
function crashName(file: string): string {
  const when = statSync(file)
    .mtime.toISOString()
    .replace(/[-:]|\..*/g, '');
  const name = `${file}.crash-${when}`;
  for (let count = 2; ; count++) {
    const free = count === 2 ? name : `${name}-${count}`;
    if (lookAt(free) === undefined) return free;
  }
}

/** The oldest first. */
function crashesOf(file: string): string[] {
  const beginning = `${basename(file)}.crash-`;
  return readdirSync(dirname(file))
    .filter((name) => name.startsWith(beginning) && !name.endsWith('.1'))
    .sort()
    .map((name) => join(dirname(file), name));
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
