/**
 * The payload of a large call while the router is asked which worker it is for. Runs where calls are made. It already lies where
 * the worker that was last brought one can read it: mostly it is for that one again, and has then been copied for the last time
 * while the router thought. Where it is for another it is taken back.
 */
import { Buffer } from 'node:buffer';
import type { Channel, LaidFrame } from './channel.ts';
import { FRAME, HEADER_BYTES, idOf, payloadBytesOf, writeHeader } from './frames.ts';
import { joined } from './packing-pieces.ts';

export class WaitingPayload {
  /** Of the call, as it is sent once more where it comes back. */
  readonly #header: Buffer;
  readonly #way: Channel | undefined;
  #laid: LaidFrame | undefined;
  #frame: Buffer | undefined;

  /** `pieces` are the call, and may change when this has returned; `way` leads to the worker that it is likely for. */
  constructor(pieces: readonly Buffer[], way: Channel | undefined) {
    const [frame, ...more] = pieces;
    this.#header = Buffer.from(frame!.subarray(0, HEADER_BYTES));
    this.#way = way;
    // Both ends know the call by the caller's id.
    writeHeader(frame!, { type: FRAME.payload, id: idOf(frame!) }, payloadBytesOf(frame!));
    this.#laid = way?.lay?.(frame!, more);
    if (!this.#laid) this.#frame = more.length === 0 ? frame : joined(pieces);
  }

  /** Brings it to the worker, or to the router; false when it was lost. */
  bring(way: Channel): boolean {
    const laid = this.#laid;
    if (laid && way === this.#way && laid.send()) return true;
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
    this.#laid?.drop();
    this.#laid = this.#frame = undefined;
  }

  #taken(): Buffer | undefined {
    const frame = this.#frame ?? this.#laid?.take();
    this.#laid = this.#frame = undefined;
    return frame;
  }
}
