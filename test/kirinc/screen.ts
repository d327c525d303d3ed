/** A real terminal for tests: a program in a pseudo terminal, and what a person would see of it. */
import type { TestContext } from 'node:test';
import { type IPty, spawn } from '@lydell/node-pty';
import headless from '@xterm/headless';
import { eventually } from '../system/harness.ts';
import { kirinc, shellEnvironment } from './run.ts';

export interface ScreenOptions {
  cwd: string;
  env?: Record<string, string>;
  columns?: number;
  rows?: number;
}

export const CTRL_C = '\x03';
export const CTRL_D = '\x04';
export const CTRL_Z = '\x1a';
export const UP = '\x1b[A';
export const DOWN = '\x1b[B';
export const TAB = '\t';

export class Screen {
  readonly pty: IPty;
  readonly #terminal: InstanceType<typeof headless.Terminal>;
  /** Everything that was written, as it was. */
  raw = '';
  exited: { exitCode: number; signal?: number | undefined } | undefined;

  constructor(t: TestContext, args: readonly string[], options: ScreenOptions, file = process.execPath) {
    const { cwd, env, columns: cols = 100, rows = 30 } = options;
    this.#terminal = new headless.Terminal({ cols, rows, scrollback: 1000, allowProposedApi: true });
    const full = file === process.execPath ? [kirinc, ...args] : [...args];
    this.pty = spawn(file, full, {
      cwd,
      cols,
      rows,
      name: env?.['TERM'] ?? 'xterm-256color',
      env: { ...shellEnvironment(cwd), ...env },
    });
    this.pty.onData((data) => {
      this.raw += data;
      this.#terminal.write(data);
    });
    // Answers to what the program asks of the terminal.
    this.#terminal.onData((data) => this.pty.write(data));
    this.pty.onExit((exited) => {
      this.exited = exited;
    });
    t.after(() => {
      if (!this.exited) this.pty.kill('SIGKILL');
    });
  }

  write(text: string): void {
    this.pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
    this.pty.resize(columns, rows);
  }

  /** What is on the screen, line by line, without blanks at the ends and what a narrower window hides. */
  get lines(): string[] {
    const buffer = this.#terminal.buffer.active;
    const lines: string[] = [];
    for (let row = 0; row < this.#terminal.rows; row++)
      lines.push(
        buffer
          .getLine(buffer.viewportY + row)
          ?.translateToString(false, 0, this.#terminal.cols)
          .trimEnd() ?? '',
      );
    return lines;
  }

  get text(): string {
    return this.lines.join('\n').trimEnd();
  }

  /** All that was shown and has scrolled away too. */
  get all(): string {
    const buffer = this.#terminal.buffer.active;
    const lines: string[] = [];
    for (let row = 0; row < buffer.length; row++)
      lines.push(buffer.getLine(row)?.translateToString(true) ?? '');
    return lines.join('\n').trimEnd();
  }

  get cursorLine(): string {
    return this.lines[this.#terminal.buffer.active.cursorY] ?? '';
  }

  get isAlternate(): boolean {
    return this.#terminal.buffer.active.type === 'alternate';
  }

  /** Whether the cursor was last shown or hidden. */
  get isCursorHidden(): boolean {
    return this.raw.lastIndexOf('\x1b[?25l') > this.raw.lastIndexOf('\x1b[?25h');
  }

  async until<T>(what: string, condition: () => T): Promise<NonNullable<T>> {
    try {
      return await eventually(what, condition, 15_000);
    } catch (error) {
      throw new Error(`${(error as Error).message}; the screen is\n${this.text}`);
    }
  }

  /** Waits until the screen shows it. */
  async shows(pattern: RegExp): Promise<void> {
    await this.until(`the screen shows ${pattern}`, () => pattern.test(this.text));
  }

  /** Waits for the prompt, with this behind it. */
  async prompts(line = ''): Promise<void> {
    await this.until(
      `the prompt has "${line}"`,
      () => this.cursorLine.trimEnd() === `kirin> ${line}`.trimEnd(),
    );
  }

  async exit(): Promise<number> {
    await this.until('it exits', () => this.exited);
    return this.exited!.exitCode;
  }
}
