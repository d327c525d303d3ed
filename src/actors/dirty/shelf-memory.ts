/** The memory that shelves lie in: where it is, what one holds, and names that nobody takes away any more. Runs at every end of a channel. */
import type { Buffer } from 'node:buffer';
import { readdirSync, readSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Linux has one here, in containers too. Elsewhere there are no shelves. */
export const DIRECTORY = '/dev/shm';
const TMPFS_MAGIC = 0x0102_1994;
/** What lies on one shelf at once. Copying so much takes about a millisecond, in which nothing else happens. */
export const SHELF_BYTES = 8 * 1024 * 1024;
/** Where a byte says how many portions were written so far, of frames that are read while they are written; it runs over. */
export const PROGRESS_AT = SHELF_BYTES;
/** A name that is older than this was left by a process that was killed before its shelf was opened. */
const LEFTOVER_MS = 60_000;

export const NAME = /^kirin-shelf-(\d+)-[0-9a-f]{24}$/;

let isMemory: boolean | undefined;

/** Whether there is memory to share; looked up once. */
export function hasShelves(): boolean {
  if (isMemory === undefined) {
    try {
      isMemory = process.platform === 'linux' && statfsSync(DIRECTORY).type === TMPFS_MAGIC;
    } catch {
      isMemory = false;
    }
  }
  return isMemory;
}

/** Fills `frame` from there; undefined when so much is not there. */
export function readFrom(file: number, at: number, frame: Buffer): Buffer | undefined {
  try {
    return readSync(file, frame, 0, frame.length, at) === frame.length ? frame : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the names that processes left which were killed at the wrong moment; their files are empty. */
export function sweepShelves(): void {
  if (!hasShelves()) return;
  let names: string[] = [];
  try {
    names = readdirSync(DIRECTORY).filter((name) => NAME.test(name));
  } catch {
    // It may be written by us and not be listed.
  }
  for (const name of names) {
    const path = join(DIRECTORY, name);
    try {
      const { uid, mtimeMs } = statSync(path);
      if (uid === process.geteuid?.() && Date.now() - mtimeMs > LEFTOVER_MS) unlinkSync(path);
    } catch {
      // It is gone, or somebody else's.
    }
  }
}
