/** A page that watches, in a process of its own, as a browser is one; it counts what it is told. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { HOST } from './peers.ts';

export interface Counted {
  told: number;
  /** What it was too slow for. */
  lost: number;
  lostByProcesses: number;
  /** Loop delays of the arbiter, one a second. */
  delaysMs: number[];
}

export interface Watching {
  counted(): Promise<Counted>;
  /** Reads no more. */
  pause(): void;
  resume(): void;
  end(): void;
}

export async function openWatcher(port: number): Promise<Watching> {
  const script = fileURLToPath(new URL('servers/watcher.mjs', import.meta.url));
  const child: ChildProcess = fork(script, [`ws://${HOST}:${port}/live`], { execArgv: [] });
  await once(child, 'message');
  return {
    async counted() {
      child.send('count');
      const [counted] = await once(child, 'message');
      return counted as Counted;
    },
    pause: () => void child.send('pause'),
    resume: () => void child.send('resume'),
    end: () => void child.kill('SIGKILL'),
  };
}
