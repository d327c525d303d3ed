/**
 * Kirin's own log, through winston. Runs in the arbiter, and is imported only there: winston costs 90 ms and
 * several megabytes. Nothing a reader of the log does, and no full disk, can end or stop supervision.
 */
import winston from 'winston';
import { FaultError } from './fault-error.ts';
import { jsonLine, type LogLine, textLine } from './log-format.ts';
import { LogSink, lossOf } from './log-sink.ts';

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

export interface LogOptions {
  level: 'debug' | 'info' | 'warn' | 'error';
  format: 'text' | 'json';
  /** Path, or "-" for standard error. */
  file: string;
}

const LEVELS = { fatal: 0, error: 1, warn: 2, info: 3, debug: 4 };

/** Throws FaultError `file.unusable` where the file cannot be opened. */
export function createLog({ level, format, file }: LogOptions): Log {
  const sink = openSink(file, (lost) =>
    render({ time: now(), level: 'warn', msg: lossOf(lost), fields: { lost } }),
  );
  const colour = sink.isTerminal && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
  const render = (line: LogLine) =>
    format === 'json' ? jsonLine(line, process.pid) : textLine(line, process.pid, colour);
  const logger = winston.createLogger({
    levels: LEVELS,
    level,
    exitOnError: false,
    transports: [new SinkTransport(sink, render)],
  });
  // Fields travel under a key of their own: winston would append a field named `message` to the message.
  const write = (name: keyof typeof LEVELS, msg: string, fields: object = {}) =>
    void logger.log({
      level: name,
      message: msg,
      fields,
    });
  return {
    debug: (msg, fields) => write('debug', msg, fields),
    info: (msg, fields) => write('info', msg, fields),
    warn: (msg, fields) => write('warn', msg, fields),
    error: (msg, fields) => write('error', msg, fields),
    fatal(msg, fields) {
      write('fatal', msg, fields);
      sink.flushNow();
    },
    reopen() {
      try {
        sink.reopen();
      } catch (error) {
        write('error', `cannot reopen ${file}, going on with the old file: ${reason(error)}`);
      }
    },
    async close() {
      logger.close();
      sink.close();
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

/** Its types call it `transport`, the module itself `Transport`. */
const { Transport } = winston as unknown as { Transport: new () => winston.transport };

/** Writes at once and synchronously, so that lines are in order with `fatal` and with an exit. */
class SinkTransport extends Transport {
  readonly #sink: LogSink;
  readonly #render: (line: LogLine) => string;

  constructor(sink: LogSink, render: (line: LogLine) => string) {
    super();
    this.#sink = sink;
    this.#render = render;
  }

  override log(info: { level: string; message: unknown; fields?: object }, done: () => void): void {
    const { level, message, fields } = info;
    this.#sink.write(this.#render({ time: now(), level, msg: String(message), fields: { ...fields } }));
    done();
  }
}
