/** What a request means: its words become a command, and the command finds who answers it. Runs in the arbiter. */
import type { Inspector } from '../inspect/inspector.ts';
import type { Annex } from '../inspect/thread/annex.ts';
import type { Watcher } from '../inspect/watchers.ts';
import type { Call } from './call.ts';
import { COMMANDS, type Command, CommandError, parseCommand } from './grammar.ts';
import type { Journal } from './journal.ts';
import type { Orders } from './orders.ts';
import type { Request } from './request.ts';
import type { Show } from './show.ts';
import { splitWords, WordsError } from './words.ts';

/** A command with its arguments; far above what any has. */
const COMMAND_LENGTH_MAX = 4096;

export interface CommandsDeps {
  show: Show;
  orders: Orders;
  journal: Journal;
  inspector: Inspector;
}

export class Commands {
  readonly #deps: CommandsDeps;

  constructor(deps: CommandsDeps) {
    this.#deps = deps;
  }

  /** Answers a request through its call, now or later. */
  execute(request: Request, call: Call): void {
    try {
      const command = parseCommand(wordsOf(request));
      if (command.spec.changes && call.readonly)
        return call.fail('Permission denied: this socket answers show and help only');
      this.#carryOut(command, call);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      call.fail(error.message);
    }
  }

  #carryOut(command: Command, call: Call): void {
    const { show, orders } = this.#deps;
    const shown = show.answer(command, call);
    if (shown instanceof Promise) return this.#later(shown, call);
    if (shown) return call.reply(shown);
    if (orders.take(command, call)) return;
    switch (command.spec.name) {
      case 'help':
        return call.reply({ commands: help(call.readonly) });
      case 'events':
        return this.#follow(call);
      case 'inspect':
        return this.#inspect(call);
      case 'cancel':
        return call.reply({ cancelled: call.cancel(command.text ?? '') });
      default:
        throw new Error(`nobody answers "${command.spec.name}"`);
    }
  }

  /** What has to be asked of another process. */
  #later(shown: Promise<object>, call: Call): void {
    call.begin(true);
    shown.then(
      (data) => call.reply(data),
      (error: Error) =>
        call.fail(error instanceof CommandError ? error.message : `Internal error: ${error.message}`),
    );
  }

  /** Until the client has enough. A slow reader loses events and is told how many. */
  #follow(call: Call): void {
    if (!call.streams) throw new CommandError('"events" needs "stream": true in its request');
    call.begin(false);
    let dropped = 0;
    call.onOver = this.#deps.journal.watch((event) => {
      if (dropped > 0 && call.progress({ dropped })) dropped = 0;
      if (dropped > 0 || !call.progress({ event })) dropped++;
    });
  }

  /** Messages of the inspector as progress, until the client has enough. */
  #inspect(call: Call): void {
    if (!call.streams) throw new CommandError('"inspect" needs "stream": true in its request');
    call.begin(false);
    let isOver = false;
    let stop = (): void => {};
    call.onOver = () => {
      isOver = true;
      stop();
    };
    const watch = (annex: Annex): void => {
      if (isOver) return;
      if (annex.isFull) return call.fail(`Too many watch: at most ${annex.watchersMax}`);
      stop = annex.watch(watcherOf(call), { controls: !call.readonly, from: 'past' });
      if (isOver) stop();
    };
    this.#deps.inspector
      .annex()
      .then(watch)
      .catch((error: Error) => call.fail(`Internal error: ${error.message}`));
  }
}

/** A client that has so much to read is sent no more. */
const UNREAD_BYTES_MAX = 256 * 1024;

function wordsOf({ command, args }: Request): string[] {
  const length = args.reduce((total, one) => total + one.length, command.length);
  if (length > COMMAND_LENGTH_MAX)
    throw new CommandError(
      `Command too long: ${length} characters, the most allowed is ${COMMAND_LENGTH_MAX}`,
    );
  try {
    return [...splitWords(command), ...args];
  } catch (error) {
    if (error instanceof WordsError) throw new CommandError(`${error.message} in the command`);
    throw error;
  }
}

const help = (readonly: boolean): Record<string, string> =>
  Object.fromEntries(
    COMMANDS.filter(({ wireOnly, changes }) => !wireOnly && !(readonly && changes)).map(({ usage, text }) => [
      usage,
      text,
    ]),
  );

const watcherOf = (call: Call): Watcher => ({
  get unreadBytes() {
    return call.unreadBytes;
  },
  unreadBytesMax: UNREAD_BYTES_MAX,
  send(message) {
    if (call.tell(message)) return;
    const bytes = Buffer.byteLength(message);
    throw new Error(`a message of ${bytes} bytes is larger than allowed (--control-reply-max)`);
  },
  end: (reason) => call.fail(`The inspector ends: ${reason}`),
});
