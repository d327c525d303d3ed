/** Winston, and a transport that writes through Kirin's sink. Runs in the arbiter, which loads it late. */
import winston from 'winston';
import type { Emit, LogPipe } from './log.ts';
import { LEVELS, type Level } from './log-format.ts';

export function winstonPipe(level: Level, emit: Emit): LogPipe {
  const logger = winston.createLogger({
    levels: LEVELS,
    level,
    exitOnError: false,
    transports: [new EmitTransport(emit)],
  });
  return {
    // Fields travel under a key of their own: winston would append a field named `message` to the message.
    log: (name, msg, fields) => void logger.log({ level: name, message: msg, fields }),
    close: () => void logger.close(),
  };
}

/** Its types call it `transport`, the module itself `Transport`. */
const { Transport } = winston as unknown as { Transport: new () => winston.transport };

/** Writes at once and synchronously, so that lines are in order with `fatal` and with an exit. */
class EmitTransport extends Transport {
  readonly #emit: Emit;

  constructor(emit: Emit) {
    super();
    this.#emit = emit;
  }

  override log(info: { level: Level; message: unknown; fields?: object }, done: () => void): void {
    this.#emit(info.level, String(info.message), info.fields ?? {});
    done();
  }
}
