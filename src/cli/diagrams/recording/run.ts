/** A real server, started from the sources with a recorder in each of its processes, and what is done to it. Development only. */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Line, RECORDING_VARIABLE } from './lines.ts';
import type { Scene } from './scenes.ts';
import { type Story, storyOf } from './story.ts';

const PATIENCE_MS = 60_000;
const POLL_MS = 20;

/** What a scene can do. */
export interface Run {
  /** Waits until a line like this was written, wherever. */
  until(matches: (line: Line) => boolean): Promise<void>;
  /** The story begins here. */
  begin(): void;
  signal(process: 'arbiter', signal: NodeJS.Signals): void;
  /** Sends a request that this process will take; resolves when the answer begins, or when there will be none. */
  ask(process: string, path: string): Promise<void>;
}

/** What a run of this scene tells. */
export async function record(scene: Scene): Promise<Story> {
  const directory = mkdtempSync(join(tmpdir(), 'kirin-recording-'));
  const file = join(directory, 'lines');
  writeFileSync(file, '');
  symlinkSync(fileURLToPath(new URL('./app.mjs', import.meta.url)), join(directory, 'app.mjs'));
  const server = start(scene.options, directory, file);
  let began = 0;
  const now = (): number => Number(process.hrtime.bigint());
  const done = (to: string, text: string, kind: 'request' | 'response' | 'signal'): void =>
    appendFileSync(file, `${JSON.stringify({ at: now(), process: 'you', what: 'done', to, text, kind })}\n`);
  const lines = (): Line[] => linesOf(file);
  /** The first that is not undefined. */
  const soon = async <Found>(look: () => Found | undefined): Promise<Found> => {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`what was waited for did not come: ${server.output()}`);
      await sleep(POLL_MS);
    }
  };
  const until = async (matches: (line: Line) => boolean): Promise<void> =>
    void (await soon(() => lines().find((line) => line.at >= began && matches(line))));
  const ask = async (to: string, path: string): Promise<void> => {
    const port = await soon(() => /bound 127\.0\.0\.1:(\d+)/.exec(server.output())?.[1]);
    done(to, `GET ${path}`, 'request');
    await new Promise<void>((taken) => {
      const asked = request({ port, path, agent: false, timeout: PATIENCE_MS }, (response) => {
        taken();
        response.on('end', () => done(to, String(response.statusCode), 'response'));
        response.resume();
      });
      // Its worker may be killed; whoever waits for the answer then waits in vain for a line, and is told so.
      asked.on('error', () => taken());
      asked.on('timeout', () => asked.destroy());
      asked.end();
    });
  };
  try {
    await scene.play?.({
      until,
      begin: () => {
        began = now();
      },
      signal(to, signal) {
        done(to, signal, 'signal');
        server.child.kill(signal);
      },
      ask,
    });
    for (const isLast of scene.last) await until(isLast);
    const all = lines().sort((a, b) => a.at - b.at);
    const end = Math.max(
      ...scene.last.map((isLast) => all.findIndex((line) => line.at >= began && isLast(line))),
    );
    return storyOf(all.slice(0, end + 1), began);
  } finally {
    await server.end();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Whole lines only: the last one may be being written. */
const linesOf = (file: string): Line[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

/** In a directory of its own, and without settings of whoever records: only the scene's count. */
function start(options: readonly string[], directory: string, file: string) {
  const loads = [import.meta.resolve('tsx'), new URL('./recorder.ts', import.meta.url).href];
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('KIRIN_'));
  const child: ChildProcess = spawn(
    process.execPath,
    [
      ...loads.flatMap((url) => ['--import', url]),
      fileURLToPath(new URL('../../kirin.ts', import.meta.url)),
      ...['-b', '127.0.0.1:0', '--no-control-socket', ...options, './app.mjs'],
    ],
    {
      cwd: directory,
      env: { ...Object.fromEntries(others), [RECORDING_VARIABLE]: file },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
  // The streams end with the last process, also where the arbiter was killed before.
  const gone = new Promise((resolve) => child.once('close', resolve));
  return {
    child,
    output: () => output,
    async end(): Promise<void> {
      child.kill('SIGTERM');
      const isGone = gone.then(() => true);
      const isLate = sleep(PATIENCE_MS, false, { ref: false });
      if (await Promise.race([isGone, isLate])) return;
      child.kill('SIGKILL');
      throw new Error(`a recorded server did not end: ${output}`);
    },
  };
}
