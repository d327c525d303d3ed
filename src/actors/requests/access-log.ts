/**
 * The access log of one worker: lines are gathered and written in one go, at most a tenth of a second later. Runs in web workers;
 * loaded only where there is an access log, and with it sonic-boom; what sends them to a syslog server only where there is one.
 *
 * All workers append to one file: each write holds whole lines, and the system puts none into another.
 */
import { Buffer } from 'node:buffer';
import { closeSync, openSync, statSync } from 'node:fs';
import { SonicBoom } from 'sonic-boom';
import type { WorkerSpec } from '../../machines/events/worker.ts';
import { FaultError } from '../fault-error.ts';
import type { Facility } from '../syslog/message.ts';
import type { Syslog } from '../syslog/syslog.ts';
import { compileFormat, type Format } from './access-format.ts';
import { type Entry, entryOf } from './entry.ts';
import type { RequestWriter } from './watch.ts';

/** A line waits no longer. */
const FLUSH_MS = 100;
/** So much is written at once: each write costs as much as some hundred lines. A pipe may take less, and others write in between. */
const WRITE_BYTES = { file: 64 * 1024, pipe: 12 * 1024 };
/** So many requests get their lines at once: one by one, each finds the processor's caches full of something else. */
const TOGETHER = 64;
/** So many characters are made bytes at once. */
const LINES_LENGTH = 1024;
/** What a character of a string may need. */
const CHARACTER_BYTES_MAX = 3;
const NEW_LINE = 10;
/** What may wait where the file, or whoever reads, is slow; more is dropped and counted. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** Drops are told at most so often. */
const TOLD_MS = 10_000;
/** At the end, for what is still to be written. */
const END_MS = 1000;

type Print = (lines: string | Buffer, done?: () => void) => void;
type AccessLogSpec = NonNullable<WorkerSpec['accessLog']>;

export class AccessLog {
  readonly #file: string | undefined;
  readonly #stream: SonicBoom | undefined;
  /** Standard output goes its own way: a reader that has stopped would hold up the thread that writes, and the process's end. */
  readonly #print: Print | undefined;
  readonly #syslog: Syslog | undefined;
  readonly #format: Format;
  readonly #notice: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  /** What has no line yet. */
  #entries: Entry[] = [];
  /** What waits to be written: bytes are no work for the garbage collector. */
  readonly #waiting: Buffer;
  #bytes = 0;
  #dropped = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  /** Of what was written last: nothing, as it was not taken. */
  #hasFailed = false;
  #failedMs = Number.NEGATIVE_INFINITY;
  #mustEndMs = Number.POSITIVE_INFINITY;

  /** Throws FaultError `file.unusable`. */
  static async open(wanted: AccessLogSpec, notice: (text: string) => void): Promise<AccessLog> {
    if (!wanted.syslog) return new AccessLog(wanted, undefined, notice);
    const { Syslog: Made } = await import('../syslog/syslog.ts');
    const facility = wanted.syslog.facility as Facility;
    return new AccessLog(wanted, new Made({ ...wanted.syslog, facility, log: 'access', notice }), notice);
  }

  private constructor(
    { file, format }: AccessLogSpec,
    syslog: Syslog | undefined,
    notice: (text: string) => void,
  ) {
    this.#file = file;
    this.#syslog = syslog;
    this.#format = compileFormat(format);
    this.#notice = notice;
    this.#stream =
      file === undefined || file === '-'
        ? undefined
        : openStream(file, () => performance.now() < this.#mustEndMs);
    // As it is before an app puts anything in its place.
    if (file === '-') this.#print = process.stdout.write.bind(process.stdout) as Print;
    this.#stream?.on('write', () => {
      this.#hasFailed = false;
    });
    this.#waiting = Buffer.allocUnsafeSlow(file === undefined ? 0 : WRITE_BYTES[kindOf(file)]);
    this.#stream?.on('drop', (lines: Buffer) => {
      for (const byte of lines) if (byte === NEW_LINE) this.#dropped++;
    });
    this.#stream?.on('error', (error: NodeJS.ErrnoException) => this.#failed(error));
    this.#timer = setInterval(() => this.#beat(), FLUSH_MS);
    this.#timer.unref();
    // However this process ends by itself, an uncaught error included.
    process.on('exit', () => this.#flushNow());
  }

  get writer(): RequestWriter<Entry> {
    return {
      isTimed: this.#format.isTimed,
      begun: entryOf,
      ended: (entry, ended) => {
        this.#format.complete(entry, ended);
        this.#entries.push(entry);
        if (this.#entries.length >= TOGETHER || this.#syslog) this.#compose();
      },
    };
  }

  #compose(): void {
    const all = this.#entries;
    if (all.length === 0) return;
    this.#entries = [];
    let lines = '';
    for (const entry of all) {
      const line = this.#format.line(entry);
      this.#syslog?.send('info', line);
      lines += `${line}\n`;
      if (lines.length < LINES_LENGTH) continue;
      this.#gather(lines);
      lines = '';
    }
    if (lines !== '') this.#gather(lines);
  }

  /** The file was renamed: what is written from now on goes to a new one of its name. */
  reopen(): void {
    this.#stream?.reopen(this.#file);
  }

  /** Resolves when all is written, or soon. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#writeAll();
    await Promise.all([this.#flushed(), this.#syslog?.end()]);
  }

  async #flushed(): Promise<void> {
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, END_MS);
      const done = () => {
        clearTimeout(limit);
        resolve();
      };
      if (this.#stream) this.#stream.flush(done);
      else if (this.#print) this.#print('', done);
      else done();
    });
  }

  /** Puts lines to the bytes that wait. */
  #gather(lines: string): void {
    if (this.#file === undefined) return;
    const bytesMax = lines.length * CHARACTER_BYTES_MAX;
    if (this.#bytes + bytesMax > this.#waiting.length) this.#handOver();
    if (bytesMax > this.#waiting.length) this.#hand(Buffer.from(lines));
    else this.#bytes += this.#waiting.write(lines, this.#bytes);
  }

  #writeAll(): void {
    this.#compose();
    this.#handOver();
  }

  #handOver(): void {
    if (this.#bytes === 0) return;
    this.#hand(Buffer.from(this.#waiting.subarray(0, this.#bytes)));
    this.#bytes = 0;
  }

  #hand(lines: Buffer): void {
    // Its types know strings alone; as `openStream` makes it, it takes buffers.
    (this.#stream as { write(lines: unknown): void } | undefined)?.write(lines);
    this.#print?.(lines);
  }

  #beat(): void {
    this.#writeAll();
    if (this.#dropped === 0 || performance.now() - this.#toldMs < TOLD_MS) return;
    this.#toldMs = performance.now();
    this.#notice(`${this.#dropped} lines of the access log were dropped: it is written or read too slowly`);
    this.#dropped = 0;
  }

  #flushNow(): void {
    // Where the disk is full the stream would try for ever, and with it the process would not end.
    if (this.#hasFailed) return;
    this.#mustEndMs = performance.now() + END_MS;
    try {
      this.#writeAll();
      this.#stream?.flushSync();
    } catch {
      // Nobody is left to be told.
    }
  }

  #failed(error: NodeJS.ErrnoException): void {
    const isToldOf = this.#hasFailed || performance.now() - this.#failedMs < TOLD_MS;
    this.#hasFailed = true;
    if (isToldOf) return;
    this.#failedMs = performance.now();
    this.#notice(`the access log ${this.#file} cannot be written: ${error.code ?? error.message}`);
  }
}

/** `isPatient`: whether a reader that takes nothing at the moment is still waited for. */
function openStream(file: string, isPatient: () => boolean): SonicBoom {
  return new SonicBoom({
    dest: usable(file),
    sync: false,
    minLength: 1,
    maxLength: WAITING_BYTES_MAX,
    retryEAGAIN: isPatient,
    contentMode: 'buffer',
  });
}

/** What is no plain file may be a pipe. */
const kindOf = (file: string): keyof typeof WRITE_BYTES =>
  file !== '-' && statSync(file).isFile() ? 'file' : 'pipe';

/** What stands in the way is found before the app is loaded. */
function usable(file: string): string {
  try {
    closeSync(openSync(file, 'a'));
    return file;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new FaultError('file.unusable', `cannot open the access log ${file}: ${code ?? message}`);
  }
}
