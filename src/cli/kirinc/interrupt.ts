/** Ctrl-C for commands that were not typed at the prompt. */
import { EXIT } from './errors.ts';

/** Aborted by the first Ctrl-C, so that the server is told; the second one ends the process whatever it does. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  process.on('SIGINT', () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  });
  return controller.signal;
}
