/**
 * The stash's file: every change is appended before it is made and answered, so that a new dirty arbiter finds what the
 * dead one had promised. Runs in the dirty arbiter, one process at a time. No fsync: it survives the process, not
 * the machine, and it is of no use after the server.
 *
 * - Writes are synchronous: memory and file agree whenever anybody may look.
 * - A write that fails is taken back by truncation, and its change is refused.
 * - When the file is several times what lives, what lives is written beside it and renamed over it.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { FaultError } from '../fault-error.ts';
import type { Change } from './stash-change.ts';
import { StashError } from './stash-errors.ts';
import { decodeRecord, encodeRecord, RECORD_HEAD_BYTES } from './stash-record.ts';

const MAGIC = Buffer.from('KIRINST1');
/** A file smaller than this is never compacted. */
const COMPACT_BYTES_MIN = 1024 * 1024;
/** How many times what lives the file may be. */
const COMPACT_FACTOR = 4;
const CHUNK_BYTES = 1024 * 1024;
const JOINED_BYTES_MAX = 64 * 1024;

/** What is in memory, to be replayed into and to be written out. */
interface Memory {
  readonly bytes: number;
  replay(change: Change): void;
  changes(): Iterable<Change>;
}

export class StashFile {
  readonly #path: string;
  readonly #notice: (text: string) => void;
  #fd: number;
  /** Where the last whole record ends. */
  #length = 0;
  /** Something may lie behind `#length`. */
  #torn = false;
  #compactAt = COMPACT_BYTES_MIN;
  #memory: Memory | undefined;

  /** Opens or makes the file, for this user alone. Throws FaultError `file.unusable`. */
  constructor(path: string, notice: (text: string) => void) {
    this.#path = path;
    this.#notice = notice;
    try {
      const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
      this.#fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
      fchmodSync(this.#fd, 0o600);
    } catch (error) {
      throw unusable(path, codeOf(error));
    }
  }

  get bytes(): number {
    return this.#length;
  }

  /** Replays the file; once, before anything is recorded. Throws FaultError `file.unusable`. */
  load(memory: Memory): void {
    const size = fstatSync(this.#fd).size;
    const window = new Window(this.#fd, size);
    const magic = window.read(0, Math.min(size, MAGIC.length))!;
    if (!MAGIC.subarray(0, magic.length).equals(magic)) throw unusable(this.#path, 'it is no stash');
    this.#length = magic.length < MAGIC.length ? 0 : replayed(window, memory);
    this.#torn = size > this.#length;
    if (this.#torn && this.#length > 0)
      this.#notice(
        `the stash's file ends in ${size - this.#length} bytes of no whole change: they are cut off`,
      );
    this.#memory = memory;
    // Of a compaction that was killed.
    quietly(() => rmSync(`${this.#path}.new`, { force: true }));
    try {
      if (this.#length === 0) this.#append([MAGIC]);
      this.#mend();
    } catch (error) {
      throw unusable(this.#path, codeOf(error));
    }
    this.#compactIfDue();
  }

  /** Writes a change that is about to be made. Throws StashError `STASH_NOT_WRITTEN`; the change must then not be made. */
  record(change: Change): void {
    this.#compactIfDue();
    try {
      const [head, value] = encodeRecord(change);
      // One call for most; but a large value is not copied.
      this.#append(value.byteLength < JOINED_BYTES_MAX ? [Buffer.concat([head, value])] : [head, value]);
    } catch (error) {
      throw new StashError(
        'STASH_NOT_WRITTEN',
        `the change was not made: the stash's file cannot be written (${codeOf(error)})`,
      );
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #append(pieces: Uint8Array[]): void {
    this.#mend();
    this.#torn = true;
    try {
      const end = writeAll(this.#fd, pieces, this.#length);
      this.#length = end;
      this.#torn = false;
    } catch (error) {
      // Where the disk refuses even that, it is tried again before the next write.
      quietly(() => this.#mend());
      throw error;
    }
  }

  /** Nothing may be written behind half a record: a reader would stop there, or take a piece of a value for a record. */
  #mend(): void {
    if (!this.#torn) return;
    ftruncateSync(this.#fd, this.#length);
    this.#torn = false;
  }

  /** Before a change is written memory and file agree: then what is in memory is what the file says. */
  #compactIfDue(): void {
    if (!this.#memory || this.#length <= Math.max(this.#compactAt, COMPACT_FACTOR * this.#memory.bytes))
      return;
    const draft = `${this.#path}.new`;
    const old = this.#fd;
    let fd: number | undefined;
    try {
      rmSync(draft, { force: true });
      fd = openSync(draft, 'wx+', 0o600);
      const length = writeChanges(fd, this.#memory.changes());
      renameSync(draft, this.#path);
      [this.#fd, this.#length, this.#torn] = [fd, length, false];
      this.#compactAt = COMPACT_BYTES_MIN;
      quietly(() => closeSync(old));
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      quietly(() => rmSync(draft, { force: true }));
      // Not at every change again: when it has grown as much once more.
      this.#compactAt = 2 * this.#length;
      this.#notice(`the stash's file cannot be compacted (${codeOf(error)}): it grows on`);
    }
  }
}

/** Where the last whole record ends. */
function replayed(window: Window, memory: Memory): number {
  let at = MAGIC.length;
  for (;;) {
    const head = window.read(at, RECORD_HEAD_BYTES);
    if (!head) return at;
    const [bytes, checksum] = [head.readUInt32BE(0), head.readUInt32BE(4)];
    const body = window.read(at + RECORD_HEAD_BYTES, bytes);
    const change = body && decodeRecord(body, checksum);
    if (!change) return at;
    memory.replay(change);
    at += RECORD_HEAD_BYTES + bytes;
  }
}

/** A file read forwards, in large pieces. What it gives is good until the next read. */
class Window {
  readonly #fd: number;
  readonly #size: number;
  #start = 0;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
  }

  /** Undefined where the file ends before. */
  read(at: number, length: number): Buffer | undefined {
    if (at + length > this.#size) return undefined;
    if (at + length > this.#start + this.#bytes.length) this.#move(at, length);
    const from = at - this.#start;
    return from + length > this.#bytes.length ? undefined : this.#bytes.subarray(from, from + length);
  }

  #move(at: number, length: number): void {
    const bytes = Buffer.allocUnsafe(Math.min(this.#size - at, Math.max(length, CHUNK_BYTES)));
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(this.#fd, bytes, filled, bytes.length - filled, at + filled);
      if (count === 0) break;
      filled += count;
    }
    [this.#start, this.#bytes] = [at, bytes.subarray(0, filled)];
  }
}

/** Returns where they end. */
function writeChanges(fd: number, changes: Iterable<Change>): number {
  let at = 0;
  let pieces: Uint8Array[] = [MAGIC];
  let bytes = MAGIC.length;
  for (const change of changes) {
    const record = encodeRecord(change);
    pieces.push(...record);
    bytes += record[0].length + record[1].byteLength;
    if (bytes < CHUNK_BYTES) continue;
    at = writeAll(fd, [Buffer.concat(pieces)], at);
    [pieces, bytes] = [[], 0];
  }
  return writeAll(fd, [Buffer.concat(pieces)], at);
}

/** Returns where they end. */
function writeAll(fd: number, pieces: Uint8Array[], from: number): number {
  let at = from;
  for (const piece of pieces) {
    let written = 0;
    while (written < piece.byteLength)
      written += writeSync(fd, piece, written, piece.byteLength - written, at + written);
    at += written;
  }
  return at;
}

function quietly(attempt: () => void): void {
  try {
    attempt();
  } catch {
    // It was an attempt.
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

const unusable = (path: string, why: string): FaultError =>
  new FaultError('file.unusable', `cannot use ${path} for the stash: ${why}`);
