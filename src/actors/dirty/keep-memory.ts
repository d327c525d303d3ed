/**
 * Lets this process use the memory of large payloads again instead of giving it back to the system at once. Runs at every end
 * that gets large payloads.
 *
 * The GNU allocator maps what is large by itself and unmaps it when it is freed, so that every new payload is a page fault for
 * each of its pages: ten times what copying it costs. After it has freed something large once, it keeps what is smaller in its
 * heap, up to twice that size. Elsewhere this changes nothing.
 */

/** Below the 32 MiB from which on the allocator does not learn. Never touched, so that it takes no memory itself. */
const LESSON_BYTES = 24 * 1024 * 1024;

let isKept = false;

export function keepFreedMemory(): void {
  if (isKept) return;
  isKept = true;
  const lesson = new ArrayBuffer(LESSON_BYTES);
  const { port1, port2 } = new MessageChannel();
  // What was handed to a port that nobody reads is freed with it, without waiting for a garbage collection.
  port1.postMessage(lesson, [lesson]);
  port1.close();
  port2.close();
}
