/**
 * Hands copies of listening descriptors to the web worker that started it: Node.js cannot make one, but can receive one from
 * another process. Runs in a process of its own, for a moment; it neither listens nor accepts, and knows nothing of the app.
 */
import { openHandle } from './socket-handle.ts';

/** Its descriptors: 0 to 2, the channel to the worker, then the descriptors to copy. */
export const CHANNEL_FD = 3;

/** What it says: which of the descriptors the handle that comes with it is a copy of; or that this was all. */
export type CopyWord = { index: number } | 'all';

/** Its arguments: how many descriptors, and how many copies of each. */
export function runCopyProcess(): void {
  const [descriptors = 0, copies = 0] = process.argv.slice(2).map(Number);
  // The worker has what it wanted, or is gone.
  process.once('disconnect', () => process.exit(0));
  const handles = Array.from(
    { length: descriptors },
    (_, index) => openHandle(CHANNEL_FD + 1 + index).handle,
  );
  for (let round = 0; round < copies; round++)
    for (const [index, handle] of handles.entries())
      process.send?.({ index } satisfies CopyWord, handle as never);
  // After those: Node.js says nothing of a handle for which the other end has no descriptor left.
  process.send?.('all' satisfies CopyWord);
}
