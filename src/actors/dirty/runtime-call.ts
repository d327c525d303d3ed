/** One call that runs: what its action may know of it, and what ends it early. Runs in dirty workers. */
import type { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import { type DirtyCall, runInCall } from './app-call.ts';
import { DirtyCancelledError, type DirtyError, DirtyTimeoutError } from './errors.ts';
import { AHEAD_BYTES, callerIdOf, callerOf, idOf, numberOf } from './frames.ts';

/** Node's timers count no further; nobody waits so long. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What the action sees: of a class, since an object with a getter of its own costs as much as all the rest of a call. */
class RunningCallView implements DirtyCall {
  readonly app: string;
  readonly action: string;
  readonly deadline: number | undefined;
  readonly #running: RunningCall;

  constructor(running: RunningCall, app: string, action: string, deadline: number | undefined) {
    this.#running = running;
    this.app = app;
    this.action = action;
    this.deadline = deadline;
  }

  get signal(): AbortSignal {
    return this.#running.signal;
  }
}

export class RunningCall {
  readonly id: number;
  /** Who called, and by which id, as the router says. */
  readonly caller: number;
  readonly callerId: number;
  /** What the action sees as `this.call`. */
  readonly call: DirtyCall;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reason: DirtyError | undefined;
  #done = false;
  #credit = 0;
  /** Of chunks that were sent, as far as the caller has not said that it read them. */
  #aheadBytes = 0;
  #wake: (() => void) | undefined;
  /** When it must have ended, by the monotonic clock: the wall clock, which the action sees, may be set meanwhile. */
  readonly #endMs: number;

  /** `word` is the header of the call. Its limit 0: it may take as long as it likes. */
  constructor(word: Buffer, app: string, action: string) {
    const timeoutMs = numberOf(word);
    this.id = idOf(word);
    this.caller = callerOf(word);
    this.callerId = callerIdOf(word);
    this.#endMs = timeoutMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
    this.call = new RunningCallView(this, app, action, timeoutMs === 0 ? undefined : Date.now() + timeoutMs);
  }

  /** Made when it is first asked for: most actions never do. */
  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal;
    this.#controller = new AbortController();
    if (this.#reason) this.#controller.abort(this.#reason);
    else if (this.#endMs !== Number.POSITIVE_INFINITY && !this.#done) {
      const leftMs = Math.min(Math.max(0, this.#endMs - performance.now()), TIMER_MS_MAX);
      const late = (): void => this.#abort(new DirtyTimeoutError('the deadline has passed while it ran'));
      this.#timer = setTimeout(late, leftMs).unref();
    }
    return this.#controller.signal;
  }

  /** Why it was told to end early, if it was. */
  get reason(): DirtyError | undefined {
    return this.#reason;
  }

  /** Its caller is gone: nobody wants to know any more. */
  get isCancelled(): boolean {
    return this.#reason instanceof DirtyCancelledError;
  }

  cancel(why: string): void {
    this.#abort(new DirtyCancelledError(why));
  }

  #abort(reason: DirtyError): void {
    if (this.#done || this.isCancelled) return;
    this.#reason = reason;
    // Listeners of the signal are something that the action has begun.
    runInCall(this.call, () => this.#controller?.abort(reason));
    this.#wake?.();
  }

  /** The caller has room for so many chunks more, and has read so many bytes. */
  addCredit(chunks: number, readBytes = 0): void {
    this.#credit += chunks;
    this.#aheadBytes = Math.max(0, this.#aheadBytes - readBytes);
    this.#wake?.();
  }

  /** Whether a chunk may be sent at once. */
  get hasRoom(): boolean {
    return this.#credit > 0 && this.#aheadBytes < AHEAD_BYTES;
  }

  /** Waits for room for a chunk, or for a reason to end; the router's deadline and the caller's end both bound it. */
  async room(): Promise<void> {
    while (!this.hasRoom && !this.#reason)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#wake = undefined;
  }

  /** A chunk of so many bytes is sent. */
  takeCredit(bytes: number): void {
    this.#credit--;
    this.#aheadBytes += bytes;
  }

  /** It has been answered. */
  done(): void {
    this.#done = true;
    clearTimeout(this.#timer);
  }
}
