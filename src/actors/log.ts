/**
 * Kirin's own log, through winston. Runs in the arbiter, and is imported only there. Winston is loaded a moment later, since
 * it needs as much of the processor as a third of the arbiter's start, which the first workers need more; until then, and
 * where it cannot be loaded, lines are written without it, and look the same. Nothing a reader of the log does, and no full
 * disk, can end or stop supervision.
 */
import { FaultError } from './fault-error.ts';
import { jsonLine, LEVELS, type Level, type LogLine, textLine, wordsOf } from './log-format.ts';
import { LogSink, lossOf } from './log-sink.ts';
import type { LogTransport } from './log-transports/transport.ts';
import type { Syslog } from './syslog/syslog.ts';

export interface Log {
  debug(msg: string, fields?: object): void;
  info(msg: string, fields?: object): void;
  warn(msg: string, fields?: object): void;
  error(msg: string, fields?: object): void;
  /** Before an exit: written when this returns, unless the reader does not read for half a second. */
  fatal(msg: string, fields?: object): void;
  /** Opens the file again, after a rotation. */
  reopen(): void;
  /** Writes what is left, for at most half a second. */
  close(): Promise<void>;
}

/** A log that also takes what others print. */
export interface OutputLog extends Log {
  /** A line that the process `who` printed, whatever the level that is logged. */
  output(stream: 'stdout' | 'stderr', who: string, line: string, fields: object): void;
}

export interface LogOptions {
  level: 'debug' | 'info' | 'warn' | 'error';
  format: 'text' | 'json';
  /** Path, or "-" for standard error. */
  file: string;
  /** Told the same. */
  syslog?: Syslog | undefined;
  /** The user's own, told the same. */
  transports?: readonly LogTransport[] | undefined;
}

/** Writes one line of any level that is logged. */
export type Emit = (level: Level, msg: string, fields: object) => void;

/** What is between Kirin and its sink. */
export interface LogPipe {
  log: Emit;
  close(): void;
}

const LATE_MS = 1_000;

/** Throws FaultError `file.unusable` where the file cannot be opened. */
export function createLog({ level, format, file, syslog, transports = [] }: LogOptions): OutputLog {
  const sink = openSink(file, (lost) =>
    render({ time: now(), level: 'warn', msg: lossOf(lost), fields: { lost } }),
  );
  const colour = sink.isTerminal && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
  const render = (line: LogLine) =>
    format === 'json' ? jsonLine(line, process.pid) : textLine(line, process.pid, colour);
  const emit: Emit = (name, msg, fields) => {
    const line: LogLine = { time: now(), level: name, msg, fields: { ...fields } };
    sink.write(render(line));
    if (transports.length > 0) {
      const json = jsonLine(line, process.pid);
      for (const transport of transports) transport.send(json);
    }
    if (!syslog) return;
    // Its head has what stands before the words of a line of text.
    const lines = format === 'json' ? [jsonLine(line, process.pid)] : wordsOf(line);
    for (const words of lines) syslog.send(name, words, line.time);
  };
  let pipe: LogPipe = {
    log: (name, msg, fields) => LEVELS[name] <= LEVELS[level] && emit(name, msg, fields),
    close: () => {},
  };
  let isOpen = true;
  const late = setTimeout(async () => {
    // Where it is gone from disk, lines go on as they went.
    const winston = await import('./winston-pipe.ts').catch(() => undefined);
    if (winston && isOpen) pipe = winston.winstonPipe(level, emit);
  }, LATE_MS).unref();
  const write: Emit = (name, msg, fields) => pipe.log(name, msg, fields);
  return {
    debug: (msg, fields = {}) => write('debug', msg, fields),
    info: (msg, fields = {}) => write('info', msg, fields),
    warn: (msg, fields = {}) => write('warn', msg, fields),
    error: (msg, fields = {}) => write('error', msg, fields),
    fatal(msg, fields = {}) {
      write('fatal', msg, fields);
      sink.flushNow();
    },
    output(stream, who, line, fields) {
      const msg = format === 'json' ? line : `${who}: ${line}`;
      emit(stream === 'stdout' ? 'info' : 'error', msg, { ...fields, stream });
    },
    reopen() {
      try {
        sink.reopen();
      } catch (error) {
        write('error', `cannot reopen ${file}, going on with the old file: ${reason(error)}`, {});
      }
    },
    async close() {
      isOpen = false;
      clearTimeout(late);
      pipe.close();
      sink.close();
      await Promise.all([syslog?.end(), ...transports.map((transport) => transport.end())]);
    },
  };
}

function openSink(file: string, lossLine: (lost: number) => string): LogSink {
  try {
    return new LogSink(file, { lossLine });
  } catch (error) {
    throw new FaultError('file.unusable', `cannot open the log file ${file}: ${reason(error)}`);
  }
}

/** For people: the one place where the wall clock belongs. */
const now = (): string => new Date().toISOString();

const reason = (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error);
