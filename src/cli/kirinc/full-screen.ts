/**
 * The terminal's second screen, for a program that fills it. However the process ends, the first screen comes back
 * with its cursor.
 */
import { constants } from 'node:os';
import {
  cursorHide,
  cursorShow,
  cursorTo,
  enterAlternativeScreen,
  eraseDown,
  eraseLine,
  exitAlternativeScreen,
} from 'ansi-escapes';

const BEGIN_SYNC = '\u001b[?2026h';
const END_SYNC = '\u001b[?2026l';
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

export class FullScreen {
  readonly #stream = process.stdout;
  #entered = false;
  readonly #leaveAtExit = (): void => this.leave();
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.leave();
    process.exit(128 + constants.signals[signal]);
  };

  get columns(): number {
    return this.#stream.columns || 80;
  }

  get rows(): number {
    return this.#stream.rows || 24;
  }

  enter(): void {
    if (this.#entered) return;
    this.#entered = true;
    process.on('exit', this.#leaveAtExit);
    for (const signal of ENDING) process.prependListener(signal, this.#onSignal);
    this.#stream.write(enterAlternativeScreen + cursorHide);
  }

  leave(): void {
    if (!this.#entered) return;
    this.#entered = false;
    process.off('exit', this.#leaveAtExit);
    for (const signal of ENDING) process.off(signal, this.#onSignal);
    this.#stream.write(cursorShow + exitAlternativeScreen);
  }

  /** All of it at once, so that nothing flickers; no more lines than there are rows. */
  draw(lines: readonly string[]): void {
    if (!this.#entered) return;
    // Erased first: behind a line that fills its row the cursor still stands on the last character.
    const frame = lines.slice(0, this.rows).map((line) => eraseLine + line);
    this.#stream.write(`${BEGIN_SYNC}${cursorTo(0, 0)}${frame.join('\r\n')}${eraseDown}${END_SYNC}`);
  }
}
