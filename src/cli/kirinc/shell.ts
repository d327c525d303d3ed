/**
 * The prompt: line editing, history, completion, and one command after the other. While a command runs the terminal
 * is as the user's own shell has it, so that Ctrl-C, Ctrl-Z and typing ahead do what they always do.
 */

import { createInterface, type Interface } from 'node:readline';
import { Completer } from './complete.ts';
import { EXIT, executeLine, type Output, type Session, ShellError, visible } from './core.ts';
import { HISTORY_LINES_MAX, History, historyPath } from './history.ts';
import { isNothing } from './pipe.ts';

const PROMPT = 'kirin> ';
/** Lines that were pasted or typed ahead; more than that is a mistake. */
const QUEUE_MAX = 1000;

/** Resolves with the exit status when the user leaves. */
export async function runShell(session: Session, output: Output): Promise<number> {
  try {
    await session.open();
  } catch (error) {
    if (!(error instanceof ShellError)) throw error;
    output.complain(error.message);
    return EXIT.failed;
  }
  await output.print(`Connected to ${visible(session.path)}`);
  await output.print("Type 'help' for available commands, 'quit' to exit.\n");
  return await new Shell(session, output).run();
}

class Shell {
  readonly #session: Session;
  readonly #output: Output;
  readonly #completer: Completer;
  readonly #history = new History(historyPath());
  readonly #readline: Interface;
  readonly #queue: string[] = [];
  #running: AbortController | undefined;
  #closed = false;
  #leave: (status: number) => void = () => {};
  #crash: (error: unknown) => void = () => {};

  constructor(session: Session, output: Output) {
    this.#session = session;
    this.#output = output;
    this.#completer = new Completer(session);
    this.#readline = createInterface({
      input: process.stdin,
      output: process.stdout,
      prompt: PROMPT,
      history: this.#history.load().reverse(),
      historySize: HISTORY_LINES_MAX,
      removeHistoryDuplicates: true,
      // Given a callback, readline would complete without waiting: it looks at the number of parameters.
      completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
        this.#completer.complete(line).then(
          (result) => done(null, result),
          () => done(null, [[], line]),
        );
      },
    });
  }

  run(): Promise<number> {
    const readline = this.#readline;
    process.on('SIGINT', () => this.#onInterrupt());
    // The terminal is gone.
    process.stdin.on('error', () => this.#onClosed());
    readline.on('SIGINT', () => this.#onInterrupt());
    // After Ctrl-Z and `fg` it reads nothing until it is told to.
    readline.on('SIGCONT', () => readline.prompt(true));
    readline.on('close', () => this.#onClosed());
    readline.on('line', (line) => {
      if (this.#queue.length < QUEUE_MAX) this.#queue.push(line);
      void this.#work();
    });
    process.stdin.on('keypress', (text: string | undefined) => {
      if (text === '?' && !this.#running && !this.#closed) this.#onQuestion();
    });
    readline.prompt();
    return new Promise((resolve, reject) => {
      this.#leave = resolve;
      this.#crash = reject;
    });
  }

  /** Runs what waits, one line at a time. */
  async #work(): Promise<void> {
    if (this.#running) return;
    try {
      for (let line = this.#queue.shift(); line !== undefined; line = this.#queue.shift()) {
        if (isNothing(line)) continue;
        this.#history.add(line);
        if ((await this.#run(line)) === 'quit') return this.#end();
      }
    } catch (error) {
      return this.#crash(error);
    }
    if (this.#closed) return this.#end();
    this.#readline.prompt();
  }

  async #run(line: string): Promise<number | 'quit'> {
    const { stdin } = process;
    this.#running = new AbortController();
    this.#readline.pause();
    stdin.setRawMode(false);
    try {
      const { signal } = this.#running;
      const ended = await executeLine(line, { session: this.#session, output: this.#output, signal });
      // The terminal has shown ^C and stands behind it.
      if (ended !== 'quit') process.stdout.write('\n');
      return ended;
    } finally {
      this.#running = undefined;
      if (!this.#closed) stdin.setRawMode(true);
    }
  }

  /** Ctrl-C: ends what runs, or empties the line. */
  #onInterrupt(): void {
    this.#queue.length = 0;
    if (this.#running) return this.#running.abort();
    process.stdout.write('^C\n');
    // Deletes what is left and what is right of the cursor.
    this.#readline.write(null, { ctrl: true, name: 'e' });
    this.#readline.write(null, { ctrl: true, name: 'u' });
    this.#readline.prompt();
  }

  #onClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#running) return;
    process.stdout.write('\n');
    this.#end();
  }

  #end(): void {
    this.#closed = true;
    this.#readline.close();
    this.#session.close();
    this.#leave(EXIT.ok);
  }

  /** A question mark lists what can stand there, at once, and is no part of the line. */
  #onQuestion(): void {
    const readline = this.#readline;
    const before = readline.line.slice(0, readline.cursor);
    // Within quotes it is a character like any other.
    if (!before.endsWith('?') || (before.match(/["']/g) ?? []).length % 2 === 1) return;
    readline.write(null, { name: 'backspace' });
    this.#completer.listing(before.slice(0, -1)).then(
      (listing) => {
        if (this.#running || this.#closed) return;
        process.stdout.write(`\n${listing}\n`);
        readline.prompt(true);
      },
      () => {},
    );
  }
}
