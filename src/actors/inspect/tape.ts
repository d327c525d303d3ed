/** One file of a recording, written in the background, in order. Runs in the inspector's thread. */
import { closeSync, write, writeSync } from 'node:fs';

export class Tape {
  readonly #descriptor: number;
  readonly #failed: (error: Error) => void;
  #position = 0;
  /** What waits; the first is being written where `#isWriting` is true. */
  #queue: Buffer[] = [];
  #unwrittenBytes = 0;
  #isWriting = false;
  #isBroken = false;
  #onIdle: (() => void) | undefined;

  /** `failed` is called once, when it cannot be written any more. */
  constructor(descriptor: number, failed: (error: Error) => void) {
    this.#descriptor = descriptor;
    this.#failed = failed;
  }

  get unwrittenBytes(): number {
    return this.#unwrittenBytes;
  }

  /** With what is still to be written. */
  get bytes(): number {
    return this.#position + this.#unwrittenBytes;
  }

  append(bytes: Buffer): void {
    if (this.#isBroken) return;
    this.#queue.push(bytes);
    this.#unwrittenBytes += bytes.length;
    if (!this.#isWriting) this.#write();
  }

  /** Resolves when everything is written, and it is closed; nothing may be appended any more. */
  async finish(): Promise<void> {
    if (this.#isWriting)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    if (!this.#isBroken) closeSync(this.#descriptor);
    this.#isBroken = true;
  }

  /** Writes what waits while nothing else goes on any more; what is being written is written once more at its place. */
  crash(): void {
    if (this.#isBroken || this.#queue.length === 0) return;
    this.#isBroken = true;
    try {
      writeSync(this.#descriptor, Buffer.concat(this.#queue), 0, this.#unwrittenBytes, this.#position);
    } catch {
      // There is nobody left to tell.
    }
  }

  #write(): void {
    const [bytes] = this.#queue;
    if (!bytes || this.#isBroken) return this.#onIdle?.();
    this.#isWriting = true;
    write(this.#descriptor, bytes, 0, bytes.length, this.#position, (error, written) => {
      this.#isWriting = false;
      if (this.#isBroken) return this.#onIdle?.();
      if (error) return this.#fail(error);
      this.#position += written;
      this.#unwrittenBytes -= written;
      if (written < bytes.length) this.#queue[0] = bytes.subarray(written);
      else this.#queue.shift();
      this.#write();
    });
  }

  #fail(error: Error): void {
    this.#isBroken = true;
    this.#queue = [];
    this.#unwrittenBytes = 0;
    closeSync(this.#descriptor);
    this.#failed(error);
    this.#onIdle?.();
  }
}
