/** A shell in a real terminal, as a person starts servers from it. The server's log goes to a file, as JSON. */
import { existsSync, readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { Screen } from '../kirinc/screen.ts';
import { command, eventually, type LogLine, Site } from './harness.ts';
import { isAlive } from './processes.ts';

export class Terminal {
  readonly site: Site;
  readonly screen: Screen;
  /** Starts a server; what it serves and how follows. */
  readonly kirin: string;

  constructor(t: TestContext, shell: readonly string[] = ['bash', '--norc', '-i']) {
    this.site = new Site(t);
    const options = `--log-format json --log-level debug --error-logfile ${this.site.path('log')}`;
    this.kirin = `${process.execPath} ${command('kirin')} -b 127.0.0.1:0 --no-control-socket ${options} --graceful-timeout 5 --idle-grace 0.2`;
    const [file = 'bash', ...args] = shell.map((word) => word.replace('KIRIN', this.kirin));
    this.screen = new Screen(
      t,
      args,
      { cwd: this.site.directory, env: { PS1: 'PROMPT> ', TERM: 'dumb' }, columns: 200 },
      file,
    );
    t.after(async () => {
      const pid = this.pid;
      if (pid === undefined || !isAlive(pid)) return;
      process.kill(pid, 'SIGINT');
      await eventually('the server ends', () => !isAlive(pid));
    });
  }

  /** Types a line. */
  type(line: string): void {
    this.screen.write(`${line}\r`);
  }

  /** Waits for the prompt that follows a line which ends by itself; returns the exit code. */
  async ended(): Promise<number> {
    await this.screen.until('the prompt is back', () => /PROMPT>\s*$/.test(this.screen.cursorLine));
    this.type('echo code=$?.');
    return Number(await this.screen.until('the code', () => /code=(\d+)\./.exec(this.screen.raw)?.[1]));
  }

  get lines(): LogLine[] {
    const file = this.site.path('log');
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as LogLine);
  }

  get pid(): number | undefined {
    return this.lines[0]?.pid;
  }

  get port(): number {
    return Number(/:(\d+)$/.exec(this.lines.find(({ addresses }) => addresses)?.addresses?.[0] ?? '')?.[1]);
  }

  all(pattern: RegExp): LogLine[] {
    return this.lines.filter(({ msg }) => pattern.test(msg));
  }

  async told(pattern: RegExp, count = 1): Promise<LogLine> {
    try {
      return await eventually(`the log tells ${pattern}`, () => this.all(pattern)[count - 1]);
    } catch (error) {
      const lines = this.lines.map(({ msg }) => msg).join('\n');
      throw new Error(
        `${(error as Error).message}; the log is\n${lines}\nthe screen is\n${this.screen.text}`,
      );
    }
  }

  /** Closes the window: the terminal goes, and the shell is told so. */
  close(): void {
    (this.screen.pty as unknown as { destroy(): void }).destroy();
  }

  /** Waits for the server's end; it is nobody's child here, so that there is no code to see. */
  async gone(): Promise<void> {
    const pid = this.pid!;
    await eventually('the server has gone', () => !isAlive(pid));
  }
}
