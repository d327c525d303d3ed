/**
 * What a router that leaves says to its callers: calls that have not begun are handed back, where another dirty arbiter will come,
 * and refused where none will. Runs in the dirty arbiter.
 */
import type { Buffer } from 'node:buffer';
import { DirtyError, errorPayloadOf } from './errors.ts';
import { bareFrame, FRAME, idOf, NO_MORE } from './frames.ts';
import { packFrame } from './packing.ts';
import type { Backpressure } from './router-backpressure.ts';
import type { Caller } from './router-callers.ts';

const LEAVING = 'the dirty arbiter is leaving';

export class Leaving {
  readonly #backpressure: Backpressure;
  readonly #another: boolean;

  /** `another`: there will be another dirty arbiter. */
  constructor(backpressure: Backpressure, another: boolean) {
    this.#backpressure = backpressure;
    this.#another = another;
  }

  /** So that a caller sends nothing more that might cross the end of its connection: a call of nobody is handed back. */
  warn(caller: Caller): void {
    if (this.#waits(caller)) this.#backpressure.send(caller, bareFrame({ type: FRAME.call }), NO_MORE);
  }

  turnAway(caller: Caller, frame: Buffer, more: readonly Buffer[]): void {
    if (this.#waits(caller)) return this.#backpressure.send(caller, frame, more);
    const error = errorPayloadOf(new DirtyError('DIRTY_UNAVAILABLE', LEAVING));
    this.#backpressure.send(caller, packFrame({ type: FRAME.error, id: idOf(frame) }, error), NO_MORE);
  }

  /** A dirty worker does not, whoever comes: its own dirty arbiter waits for it. */
  #waits({ role }: Caller): boolean {
    return this.#another && role === 'web';
  }
}
