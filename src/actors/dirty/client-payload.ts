/**
 * The payload of a large call while the router is asked which worker it is for. Runs where calls are made. It already lies where
 * the worker that was last brought one can read it: mostly it is for that one again, and has then been copied for the last time
 * while the router thought. Where that one was right several times in a row it reads it meanwhile, too, and keeps it until the router has
 * spoken: one of each caller, and not for long. Where it is for another it is taken back.
 */
import { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import type { Channel, LaidFrame } from './channel.ts';
import { wordOf } from './client-direct.ts';
import { bareFrame, FLAG_EARLY, FRAME, HEADER_BYTES, idOf, payloadBytesOf, writeHeader } from './frames.ts';
import { joined } from './packing-pieces.ts';

/**
 * So long a worker keeps what may not be for it, as the router mostly speaks within a millisecond. A call that waits for longer has its
 * payload here, as if nobody had been told; the worker leaves out one that it gets twice.
 */
const EARLY_MS = 20;

export class WaitingPayload {
  /** Of the call, as it is sent once more where it comes back. */
  readonly #header: Buffer;
  readonly #way: Channel | undefined;
  #laid: LaidFrame | undefined;
  #frame: Buffer | undefined;
  readonly #sinceMs = performance.now();
  /** While the worker has it. */
  #early: NodeJS.Timeout | undefined;

  /**
   * `pieces` are the call, and may change when this has returned; `way` leads to the worker that it is for, perhaps, or `isSure`. `ask`
   * asks the router: before the copy, but after a worker that reads meanwhile was woken, which takes longer.
   */
  constructor(
    pieces: readonly Buffer[],
    way: Channel | undefined,
    isSure: boolean,
    ask: (word: Buffer) => void,
  ) {
    const [frame, ...more] = pieces;
    this.#header = Buffer.from(frame!.subarray(0, HEADER_BYTES));
    this.#way = way;
    const word = wordOf(frame!);
    let isAsked = false;
    const askOnce = (): void => {
      if (!isAsked) ask(word);
      isAsked = true;
    };
    // Both ends know the call by the caller's id.
    const flags = isSure ? FLAG_EARLY : 0;
    writeHeader(frame!, { type: FRAME.payload, flags, id: idOf(frame!) }, payloadBytesOf(frame!));
    if (!isSure) askOnce();
    this.#laid = way?.lay?.(frame!, more, isSure ? askOnce : undefined);
    askOnce();
    if (this.#laid?.isSent) this.#early = setTimeout(() => this.#withdraw(), EARLY_MS).unref();
    if (!this.#laid) this.#frame = more.length === 0 ? frame : joined(pieces);
  }

  /** How long the router has been thinking. */
  get ageMs(): number {
    return performance.now() - this.#sinceMs;
  }

  /** Brings it to the worker, or to the router; false when it was lost. */
  bring(way: Channel): boolean {
    const laid = this.#laid;
    if (laid && way === this.#way) {
      // Where this process had no turn for so long, the worker may have given it up.
      const isThere = this.#early !== undefined && this.ageMs < 2 * EARLY_MS;
      if (isThere) {
        this.#early = void clearTimeout(this.#early);
        laid.release();
        return true;
      }
      this.#withdraw();
      if (laid.send()) return true;
    }
    const frame = this.#taken();
    if (frame) way.send(frame);
    return frame !== undefined;
  }

  /** The call as it was; undefined when it was lost. */
  asCall(): Buffer | undefined {
    const frame = this.#taken();
    frame?.set(this.#header);
    return frame;
  }

  drop(): void {
    this.#withdraw();
    this.#laid?.release();
    this.#laid = this.#frame = undefined;
  }

  #taken(): Buffer | undefined {
    this.#withdraw();
    const frame = this.#frame ?? this.#laid?.take();
    this.#laid = this.#frame = undefined;
    return frame;
  }

  /** The worker that has it does not keep it any longer. */
  #withdraw(): void {
    if (!this.#early) return;
    this.#early = void clearTimeout(this.#early);
    this.#way?.send(bareFrame({ type: FRAME.cancel, id: idOf(this.#header) }));
  }
}
