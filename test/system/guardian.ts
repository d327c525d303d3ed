/** Ends servers whose test file was killed itself: a process that sees the file's end of a pipe close. */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

const GUARDIAN = `
  const groups = new Set();
  let partial = '';
  process.stdin.setEncoding('utf8').on('data', (text) => {
    const lines = (partial + text).split('\\n');
    partial = lines.pop();
    for (const line of lines) {
      if (line.startsWith('+')) groups.add(Number(line.slice(1)));
      else groups.delete(Number(line.slice(1)));
    }
  });
  process.stdin.on('close', () => {
    for (const group of groups) try { process.kill(-group, 'SIGKILL'); } catch {}
  });
`;

let pipe: Socket | undefined;

/** One for a test file, in a group of its own so that what kills the file does not reach it. */
function guardian(): Socket {
  if (pipe) return pipe;
  const child = spawn(process.execPath, ['-e', GUARDIAN], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  child.unref();
  pipe = child.stdin as Socket;
  pipe.unref();
  // Without a guardian the tests still end what they started.
  pipe.on('error', () => {});
  return pipe;
}

export const guard = (group: number): void => void guardian().write(`+${group}\n`);
export const unguard = (group: number): void => void guardian().write(`-${group}\n`);
