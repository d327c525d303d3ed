/**
 * Where log lines go. Runs in the arbiter. Lines are written synchronously, in order, and never block: a stopped
 * reader of standard error must not stop supervision, and a write left in Node's thread pool would even keep the
 * process from exiting. So a pipe or terminal is opened a second time, without blocking, on an open file
 * description of our own (setting O_NONBLOCK on the inherited one would set it for everyone who shares it);
 * what does not fit waits in a bounded queue, and what does not fit there is counted and told later.
 *
 * Where no second description can be had (macOS, another user's pipe, a socket), a pipe or socket is made non-blocking
 * as Node does it for `process.stderr`, and set back by Node at the exit: others who share it may see EAGAIN
 * meanwhile. What remains is a stopped terminal without /proc (Ctrl-S on macOS), which does block.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';

const QUEUE_BYTES_MAX = 1024 * 1024;
const RETRY_MS = 50;
/** How long the end of the process may wait for a slow reader. */
const FLUSH_MS = 500;
const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;

export interface LogSinkOptions {
  stderrPath?: string;
  lossLine?(lost: number): string;
}

export class LogSink {
  readonly #file: string;
  readonly #lossLine: (lost: number) => string;
  #fd: number;
  #owned: boolean;
  #queue: Buffer[] = [];
  /** Whether the beginning of the first line that waits is written already. */
  #isTorn = false;
  /** Whether what was written ends in half a line, whose rest was given up: the next one begins on a line of its own. */
  #isBroken = false;
  #queuedBytes = 0;
  #retry: NodeJS.Timeout | undefined;
  /** Lines that were given up since the last one that could be written, and in all. */
  #lostSince = 0;
  lost = 0;

  /**
   * `file` "-" is standard error, which `stderrPath` opens again; `lossLine` tells of lines that were given up. Throws where a
   * file cannot be opened.
   */
  constructor(
    file: string,
    { stderrPath = '/proc/self/fd/2', lossLine = (lost) => `kirin: ${lossOf(lost)}` }: LogSinkOptions = {},
  ) {
    this.#file = file;
    this.#lossLine = lossLine;
    ({ fd: this.#fd, owned: this.#owned } = file === '-' ? openStderr(stderrPath) : open(file));
  }

  get isTerminal(): boolean {
    return this.#file === '-' && isTerminal(2);
  }

  /** Writes one line, or keeps it; never throws. */
  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    if (this.#queuedBytes + bytes.length > QUEUE_BYTES_MAX) {
      this.#lose();
      return;
    }
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (!this.#retry) this.#flush();
  }

  /** Opens the file again, after a rotation. On failure the old one stays in use and the error is thrown. */
  reopen(): void {
    if (this.#file === '-') return;
    const { fd, owned } = open(this.#file);
    this.#flush();
    // A line that the old file has the beginning of is no line in the new one.
    if (this.#isTorn) {
      this.#queuedBytes -= this.#queue.shift()?.length ?? 0;
      this.#isTorn = false;
      this.#lose();
    }
    this.#isBroken = false;
    if (this.#owned) closeSync(this.#fd);
    this.#fd = fd;
    this.#owned = owned;
    this.#flush();
  }

  /** Writes what waits, for at most half a second, and blocks meanwhile: for the last lines before an exit. */
  flushNow(): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let waitedMs = 0; waitedMs < FLUSH_MS; waitedMs += 10) {
      this.#flush();
      if (this.#queue.length === 0) return;
      Atomics.wait(pause, 0, 0, 10);
    }
  }

  close(): void {
    this.flushNow();
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#queue = [];
    if (this.#owned) closeSync(this.#fd);
    this.#owned = false;
    this.#fd = 2;
  }

  #flush(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    for (let bytes = this.#queue[0]; bytes; bytes = this.#queue[0]) {
      const written = this.#tryWrite(bytes);
      if (written === undefined) {
        this.#tryLater();
        return;
      }
      this.#queuedBytes -= written;
      this.#isTorn = written < bytes.length;
      if (this.#isTorn) this.#queue[0] = bytes.subarray(written);
      else this.#queue.shift();
    }
    if (this.#lostSince > 0) this.#tellLoss();
  }

  /** Bytes written; a line that cannot be written at all counts as lost, and as written. */
  #tryWrite(bytes: Buffer): number | undefined {
    try {
      if (this.#isBroken) writeSync(this.#fd, '\n');
      this.#isBroken = false;
      return writeSync(this.#fd, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
      this.#lose();
      this.#isBroken ||= this.#isTorn;
      return bytes.length;
    }
  }

  #tryLater(): void {
    this.#retry = setTimeout(() => this.#flush(), RETRY_MS);
    this.#retry.unref();
  }

  #lose(): void {
    this.lost++;
    this.#lostSince++;
  }

  #tellLoss(): void {
    try {
      const line = Buffer.from(`${this.#lossLine(this.#lostSince)}\n`);
      this.#isBroken = writeSync(this.#fd, line) < line.length;
      this.#lostSince = 0;
    } catch {
      // Still no room, or no reader: the count is kept until there is.
    }
  }
}

/** That lines were given up, in words. */
export const lossOf = (lost: number): string =>
  `${lost} log line${lost === 1 ? '' : 's'} could not be written`;

const open = (file: string): { fd: number; owned: boolean } => ({
  fd: openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0o644),
  owned: true,
});

function openStderr(again: string): { fd: number; owned: boolean } {
  try {
    const kind = fstatSync(2);
    if (kind.isFIFO() || kind.isCharacterDevice())
      return { fd: openSync(again, O_WRONLY | O_NOCTTY | O_NONBLOCK), owned: true };
  } catch {
    // The inherited descriptor has to do.
  }
  try {
    // Setting the stream up is what makes a pipe or socket non-blocking; nothing is written through it.
    void process.stderr;
  } catch {
    // Then every write is tried all the same.
  }
  return { fd: 2, owned: false };
}

function isTerminal(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice() && process.stderr.isTTY === true;
  } catch {
    return false;
  }
}

let listener: ((text: string) => void) | undefined;

/** From now on `listener` is told what is said at the end, where there is one. */
export function tellAtTheEnd(to: typeof listener): void {
  listener = to;
}

/** A line on standard error before the process ends. A reader that is gone, or does not read, is no reason to end differently. */
export function sayAtTheEnd(text: string): void {
  if (listener) return listener(text);
  const sink = new LogSink('-');
  sink.write(text);
  sink.close();
}
