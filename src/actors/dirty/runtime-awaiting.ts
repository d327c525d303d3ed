/**
 * Calls whose payload comes by another way than the router's word that they run. Runs in dirty workers. Whichever is there
 * first waits for the other, for a limited time and in limited number.
 */
import { Buffer } from 'node:buffer';
import { callerIdOf, callerOf, FLAG_EARLY, flagsOf, idOf, LARGE_BYTES } from './frames.ts';

/** How long the router's word waits for its payload: its caller may have much else to do. */
const PAYLOAD_MS = 30_000;
/**
 * So many payloads wait for the router's word, which is on its way when they come; more are not read until then. Those of which their
 * callers only think so do not count: each caller lets one lie here, and takes it back soon.
 */
const EARLY_MAX = 16;
/** Calls that have ended without their payload, which may still come. */
const VOID_MAX = 1000;
/** Calls that have begun with what may come a second time, at once. */
const BEGUN_MAX = 1000;

export type Payload = readonly [frame: Buffer, more: readonly Buffer[]];

interface Early {
  readonly payload: Payload;
  readonly caller: number;
  /** It may be for another worker. */
  readonly isGuess: boolean;
  readonly limit: NodeJS.Timeout;
}

interface Awaiting {
  /** The router's word: a header alone. */
  readonly word: Buffer;
  readonly key: string;
  readonly limit: NodeJS.Timeout;
  /** Chunks that its caller has room for already. */
  credit: number;
}

export class AwaitingCalls {
  readonly #start: (word: Buffer, payload: Payload, credit: number) => void;
  readonly #late: (id: number) => void;
  readonly #awaiting = new Map<number, Awaiting>();
  readonly #ids = new Map<string, number>();
  readonly #early = new Map<string, Early>();
  /** How many of them are no guess. */
  #promised = 0;
  /** Who waits until fewer are early. */
  #room: Room | undefined;
  readonly #void = new Set<string>();
  readonly #begun = new Set<string>();

  /** `start` gets both parts of a call, once; `late` is told of one whose payload has not come. */
  constructor(start: (word: Buffer, payload: Payload, credit: number) => void, late: (id: number) => void) {
    this.#start = start;
    this.#late = late;
  }

  get size(): number {
    return this.#awaiting.size;
  }

  ids(): number[] {
    return [...this.#awaiting.keys()];
  }

  /** The router's word. */
  add(frame: Buffer): void {
    const word = Buffer.from(frame);
    const key = keyOf(callerOf(word), callerIdOf(word));
    const early = this.#takeEarly(key);
    if (early) {
      // Its caller may have taken it back just now, and bring it again.
      if (early.isGuess) remember(this.#begun, key, BEGUN_MAX);
      return this.#start(word, early.payload, 0);
    }
    const id = idOf(word);
    const limit = setTimeout(() => {
      if (this.drop(id)) this.#late(id);
    }, PAYLOAD_MS);
    this.#awaiting.set(id, { word, key, limit, credit: 0 });
    this.#ids.set(key, id);
  }

  /** A payload that a caller brought. None is dropped: where too many are early, gives what resolves when there is room again. */
  brought(
    caller: number,
    callerId: number,
    frame: Buffer,
    more: readonly Buffer[],
  ): Promise<void> | undefined {
    const key = keyOf(caller, callerId);
    const id = this.#ids.get(key);
    if (id !== undefined) this.came(id, frame, more);
    else if (!this.#void.delete(key) && !this.#begun.delete(key)) return this.#keep(key, caller, frame, more);
    return undefined;
  }

  /** A payload that a caller brought is not to be kept any longer. */
  withdrawn(caller: number, callerId: number): void {
    this.#takeEarly(keyOf(caller, callerId));
  }

  /** Nobody is there any more to take back what that caller brought. */
  callerGone(caller: number): void {
    for (const [key, early] of this.#early)
      if (early.isGuess && early.caller === caller) this.#takeEarly(key);
  }

  #keep(key: string, caller: number, frame: Buffer, more: readonly Buffer[]): Promise<void> | undefined {
    this.#takeEarly(key);
    const isGuess = (flagsOf(frame) & FLAG_EARLY) !== 0;
    // A small one lies in memory that is read into again.
    const isOurs = more.length > 0 || frame.length >= LARGE_BYTES;
    const payload: Payload = [isOurs ? frame : Buffer.from(frame), more];
    // Of a call that nobody has, as after a thousand that ended without their payload.
    const limit = setTimeout(() => this.#takeEarly(key), PAYLOAD_MS).unref();
    this.#early.set(key, { payload, caller, isGuess, limit });
    if (isGuess || ++this.#promised < EARLY_MAX) return undefined;
    this.#room ??= new Room();
    return this.#room.promise;
  }

  #takeEarly(key: string): Early | undefined {
    const early = this.#early.get(key);
    if (!early) return undefined;
    clearTimeout(early.limit);
    this.#early.delete(key);
    if (!early.isGuess && --this.#promised < EARLY_MAX) {
      this.#room?.made();
      this.#room = undefined;
    }
    return early;
  }

  /** A payload that came by the router, or was brought. */
  came(id: number, frame: Buffer, more: readonly Buffer[]): void {
    const awaiting = this.#take(id);
    if (awaiting) this.#start(awaiting.word, [frame, more], awaiting.credit);
  }

  /** Its caller has room for so many chunks more. */
  addCredit(id: number, chunks: number): void {
    const awaiting = this.#awaiting.get(id);
    if (awaiting) awaiting.credit += chunks;
  }

  /** Its payload is not wanted any more; false when it has come, or was never to come. */
  drop(id: number): boolean {
    const awaiting = this.#take(id);
    if (!awaiting) return false;
    remember(this.#void, awaiting.key, VOID_MAX);
    return true;
  }

  #take(id: number): Awaiting | undefined {
    const awaiting = this.#awaiting.get(id);
    if (!awaiting) return undefined;
    this.#awaiting.delete(id);
    this.#ids.delete(awaiting.key);
    clearTimeout(awaiting.limit);
    return awaiting;
  }
}

class Room {
  made = (): void => {};
  readonly promise = new Promise<void>((resolve) => {
    this.made = resolve;
  });
}

/** The oldest is forgotten. */
function remember(keys: Set<string>, key: string, max: number): void {
  keys.add(key);
  if (keys.size > max) keys.delete(keys.keys().next().value!);
}

const keyOf = (caller: number, callerId: number): string => `${caller}:${callerId}`;
