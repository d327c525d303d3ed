/**
 * Asks a process that is silent where its main thread is: a thread beside that one answers, over a descriptor that it alone reads,
 * since who hangs reads no link. Runs in the arbiter; the other side is `thread.ts`.
 */
import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import type { Found } from '../../machines/events/process.ts';

/** How long the thread may take; it gives up earlier itself. */
const ANSWER_MS = 3000;
const ANSWER_BYTES_MAX = 256 * 1024;
export const QUESTION = '?\n';

/** What asks; never rejects, and takes no longer than `ANSWER_MS`. */
export function stackAsker(stream: Duplex, pid: number): () => Promise<Found> {
  let partial = '';
  let answered = (_found: Found): void => {};
  stream.setEncoding('utf8');
  stream.on('error', () => {});
  stream.on('data', (text: string) => {
    partial += text;
    if (partial.length > ANSWER_BYTES_MAX) stream.destroy();
    const end = partial.indexOf('\n');
    if (end < 0) return;
    const line = partial.slice(0, end);
    partial = partial.slice(end + 1);
    answered(foundIn(line));
  });
  return () =>
    new Promise((resolve) => {
      const limit = setTimeout(() => answered({ why: whySilent(pid) }), ANSWER_MS);
      answered = (found) => {
        clearTimeout(limit);
        answered = () => {};
        resolve(found);
      };
      stream.once('close', () => answered({ why: 'it has closed what it is asked over' }));
      if (stream.destroyed) answered({ why: 'it has closed what it is asked over' });
      else stream.write(QUESTION);
    });
}

function foundIn(line: string): Found {
  try {
    const { stack, why } = JSON.parse(line) as { stack?: unknown; why?: unknown };
    if (typeof stack === 'string') return { stack };
    if (typeof why === 'string') return { why };
  } catch {
    // The app has written there.
  }
  return { why: 'its answer cannot be read' };
}

/** Where not even the thread answers. */
function whySilent(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const state = stat.slice(stat.lastIndexOf(')') + 2)[0];
    if (state === 'T' || state === 't') return 'the process is stopped (SIGSTOP)';
    if (state === 'D') return 'the process waits for a device or a file system';
  } catch {
    // There is no /proc, or the process is gone.
  }
  return `no thread of it has answered for ${ANSWER_MS / 1000} s`;
}
