/**
 * The end of a process whose terminal has gone. Runs in the arbiter, in the dirty arbiter and in workers, first of all.
 *
 * At its end Node gives a terminal its former mode back, and aborts where that fails, as it does when the terminal has gone:
 * a clean exit would look like a crash. What it finds closed it leaves alone.
 */
import { closeSync, fstatSync } from 'node:fs';
import { isatty } from 'node:tty';

const STANDARD = [0, 1, 2];

/** Closes at the exit those standard descriptors that are no terminal any more. */
export function letLostTerminalGo(): void {
  process.on('exit', () => {
    for (const fd of STANDARD) if (isLost(fd)) closeSync(fd);
  });
}

/** It may have gone before this process could look: what is a device and answers as no terminal may have been one. */
function isLost(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice() && !isatty(fd);
  } catch {
    return false;
  }
}
