/** Runs the built `kirinc` without a terminal. `KIRIN_DIST` names another build than `dist`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const kirinc = join(resolve(root, process.env['KIRIN_DIST'] ?? 'dist'), 'kirinc.js');

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export interface RunOptions {
  cwd: string;
  env?: Record<string, string>;
  input?: string;
}

export class Running {
  readonly child: ChildProcess;
  out = '';
  err = '';
  readonly ended: Promise<Ran>;

  constructor(t: TestContext, args: readonly string[], { cwd, env, input }: RunOptions) {
    this.child = spawn(process.execPath, [kirinc, ...args], {
      cwd,
      env: { ...shellEnvironment(cwd), ...env },
      stdio: 'pipe',
    });
    t.after(() => this.child.kill('SIGKILL'));
    this.child.stdout!.setEncoding('utf8').on('data', (text) => {
      this.out += text;
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text) => {
      this.err += text;
    });
    this.child.stdin!.on('error', () => {});
    if (input !== undefined) this.child.stdin!.end(input);
    this.ended = new Promise((done) =>
      this.child.once('close', (code) => done({ code, out: this.out, err: this.err })),
    );
  }
}

/** Nothing of the test's own surroundings reaches the shell. */
export function shellEnvironment(home: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: home, TERM: 'xterm-256color', LANG: 'C.UTF-8' };
}

export async function run(t: TestContext, args: readonly string[], options: RunOptions): Promise<Ran> {
  return await new Running(t, args, { input: '', ...options }).ended;
}
