/**
 * One request of a client, from its frame to its one final answer. Runs in the arbiter. What comes after the final
 * answer, or after the connection is gone, goes nowhere.
 */
import type { ArbiterOrder } from '../../machines/events/arbiter.ts';

export type RequestId = number | string | null;

/** What is sent of a request: its one final answer, or what happens before it. */
export type AnswerFrame =
  | { id: RequestId; status: 'ok' | 'progress'; data: object }
  | { id: RequestId; status: 'error'; error: string };

/** What a call needs of its connection. */
export interface CallHost {
  /** Whether this connection may only look. */
  readonly readonly: boolean;
  /** Bytes that wait to be read by the client. */
  readonly backlogBytes: number;
  /** False where it is progress that is larger than a frame may be, and was left out. */
  send(frame: AnswerFrame): boolean;
  /** The same for progress that is JSON already; one text may go to many. */
  sendProgress(id: RequestId, data: string): boolean;
  /** Throws where too many wait for their answer already. */
  began(call: Call, limited: boolean): void;
  ended(call: Call): void;
  /** Hands an order to the session, which passes it to the arbiter. */
  order(ticket: number, order: ArbiterOrder): void;
  /** Ends the request of that id; false where there is none. */
  cancel(id: string): boolean;
}

/** Progress that is not read is left out from here on: only the final answer matters. */
const UNREAD_BYTES_MAX = 256 * 1024;

let lastTicket = 0;

export class Call {
  readonly id: RequestId;
  /** Names the request within this process. */
  readonly ticket: number = ++lastTicket;
  /** Whether the client wants frames before the final one. */
  readonly streams: boolean;
  /** Called once when it is over: answered, or nobody waits for the answer any more. */
  onOver: (() => void) | undefined;
  readonly #host: CallHost;
  #state: 'new' | 'running' | 'over' = 'new';

  constructor(id: RequestId, streams: boolean, host: CallHost) {
    this.id = id;
    this.streams = streams;
    this.#host = host;
  }

  get readonly(): boolean {
    return this.#host.readonly;
  }

  /** From now on it takes time; `limited` ones are given up after the time per command. */
  begin(limited: boolean): void {
    if (this.#state !== 'new') return;
    this.#host.began(this, limited);
    this.#state = 'running';
  }

  order(order: ArbiterOrder): void {
    this.#host.order(this.ticket, { ...order, ticket: this.ticket });
  }

  reply(data: object): void {
    this.#finish({ id: this.id, status: 'ok', data });
  }

  fail(error: string): void {
    this.#finish({ id: this.id, status: 'error', error });
  }

  /**
   * Sends what happens on the way, to those who asked for it; false where it was left out: the client reads too slowly
   * for it, or it is larger than a frame may be.
   */
  progress(data: object): boolean {
    if (!this.streams || this.#state !== 'running') return true;
    if (this.#host.backlogBytes > UNREAD_BYTES_MAX) return false;
    return this.#host.send({ id: this.id, status: 'progress', data });
  }

  /** What the client has not read yet, in bytes. */
  get unreadBytes(): number {
    return this.#host.backlogBytes;
  }

  /** Progress that is JSON already; false where it is larger than a frame may be. Its sender minds what is unread. */
  tell(data: string): boolean {
    return this.#state !== 'running' || this.#host.sendProgress(this.id, data);
  }

  /** Ends another request of the same connection. */
  cancel(id: string): boolean {
    return this.#host.cancel(id);
  }

  /** Nobody waits for it, or not any more; what was ordered goes on. */
  abandon(): void {
    this.#end();
  }

  #finish(frame: AnswerFrame): void {
    if (this.#state === 'over') return;
    this.#host.send(frame);
    this.#end();
  }

  #end(): void {
    if (this.#state === 'over') return;
    const wasRunning = this.#state === 'running';
    this.#state = 'over';
    this.onOver?.();
    if (wasRunning) this.#host.ended(this);
  }
}
