/**
 * Runs the actions of a dirty worker's apps: takes the router's frames, answers each call exactly once. Runs in dirty
 * workers. How many run at once is the router's to say.
 */
import type { Buffer } from 'node:buffer';
import { didYouMean } from '../../settings/suggest.ts';
import { runInCall } from './app-call.ts';
import { type Channel, sendPieces } from './channel.ts';
import {
  DirtyActionError,
  DirtyAppError,
  DirtyAppNotFoundError,
  DirtyCancelledError,
  DirtyConnectionError,
  DirtyError,
  DirtyPayloadError,
  type ErrorPayload,
  errorPayloadOf,
} from './errors.ts';
import {
  appOf,
  bareFrame,
  DIRECT_BYTES,
  FLAG_DIRECT,
  FLAG_STREAM,
  FRAME,
  FRAME_BYTES_MAX,
  flagsOf,
  type Header,
  idOf,
  LARGE_BYTES,
  NO_MORE,
  numberOf,
  payloadBytesOf,
  payloadOf,
  readBytesOf,
  setId,
  typeOf,
} from './frames.ts';
import { packFrame, packPieces, unpack } from './packing.ts';
import type { RunningApp } from './runtime-apps.ts';
import { AwaitingCalls } from './runtime-awaiting.ts';
import { RunningCall } from './runtime-call.ts';
import { isStream, isThenable, streamOut } from './runtime-stream.ts';

export interface RuntimeOptions {
  apps: ReadonlyMap<number, RunningApp>;
  send(frame: Buffer): void;
  /** Sends one at once, with all that its pieces hold; false where that cannot be. Default: it never can. */
  sendNow?(frame: Buffer, more: readonly Buffer[]): boolean;
  /** A caller's own way to this worker, for what is large; undefined when there is none. */
  direct?(caller: number): Channel | undefined;
  /** What is worth a warning in the log. */
  notice(text: string): void;
  /** The largest payload of an answer. */
  frameBytesMax?: number;
}

/** An error of the runtime's own, which is told under its code; whatever else is thrown is the app's. */
class Refusal {
  readonly error: DirtyError;
  constructor(error: DirtyError) {
    this.error = error;
  }
}

const UNWANTED = 'the answer is not wanted any more';
/** A name of an action, in a message. */
const NAME_LENGTH_MAX = 100;

export class DirtyRuntime {
  readonly #options: Required<RuntimeOptions>;
  readonly #running = new Map<number, RunningCall>();
  readonly #awaiting = new AwaitingCalls(
    (word, [frame, more], credit) => this.#answer(word, frame, more, credit),
    (id) => this.#refuse(id, new DirtyConnectionError('its arguments did not come')),
  );
  #idle: (() => void)[] = [];
  #ended = 0;

  constructor(options: RuntimeOptions) {
    this.#options = {
      frameBytesMax: FRAME_BYTES_MAX,
      direct: () => undefined,
      sendNow: () => false,
      ...options,
    };
  }

  /** How many calls run, or have a place and wait for their arguments. */
  get running(): number {
    return this.#running.size + this.#awaiting.size;
  }

  /** How many calls have been answered. */
  get ended(): number {
    return this.#ended;
  }

  /** Takes a frame of the router; whether it was one of a call that is answered here. */
  take(frame: Buffer, more: readonly Buffer[] = NO_MORE): boolean {
    const id = idOf(frame);
    switch (typeOf(frame)) {
      case FRAME.call:
        if (this.#running.has(id)) throw new Error(`call ${id} is running already`);
        if ((flagsOf(frame) & FLAG_DIRECT) !== 0) this.#awaiting.add(frame);
        else this.#answer(frame, frame, more);
        return true;
      case FRAME.payload:
        this.#awaiting.came(id, frame, more);
        return true;
      case FRAME.credit:
        if (this.#running.has(id)) this.#running.get(id)!.addCredit(numberOf(frame), readBytesOf(frame));
        else this.#awaiting.addCredit(id, numberOf(frame));
        return true;
      case FRAME.cancel:
        if (this.#awaiting.drop(id)) this.#refuse(id, new DirtyCancelledError(UNWANTED));
        else this.#running.get(id)?.cancel(UNWANTED);
        return true;
      default:
        return false;
    }
  }

  /** Takes what a caller brought by itself. Where enough of that waits, gives what resolves when there is room for more. */
  brought(
    caller: number,
    callerId: number,
    frame: Buffer,
    more: readonly Buffer[],
  ): Promise<void> | undefined {
    return this.#awaiting.brought(caller, callerId, frame, more);
  }

  /** What a caller brought was for another worker. */
  withdrawn(caller: number, callerId: number): void {
    this.#awaiting.withdrawn(caller, callerId);
  }

  /** A caller's own way to here has ended. */
  callerGone(caller: number): void {
    this.#awaiting.callerGone(caller);
  }

  /** Tells all that run to end: nobody is there any more to answer to. */
  cancelAll(why: string): void {
    for (const id of this.#awaiting.ids())
      if (this.#awaiting.drop(id)) this.#refuse(id, new DirtyCancelledError(why));
    for (const running of this.#running.values()) running.cancel(why);
  }

  /** Resolves when nothing runs. Whoever drains sees to it that nothing new comes, and has the limit. */
  drain(): Promise<void> {
    if (this.running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** What the action gives at once is answered at once: waiting for a value that is there costs as much as a call. */
  #answer(word: Buffer, frame: Buffer, more: readonly Buffer[], credit = 0): void {
    const id = idOf(word);
    const wantsStream = (flagsOf(word) & FLAG_STREAM) !== 0;
    let running: RunningCall | undefined;
    try {
      const app = this.#app(appOf(word));
      // A large frame is ours; a small one lies in memory that is used again when this turn is over.
      const { action, args } = callOf(payloadOf(frame, more), more.length > 0 || frame.length >= LARGE_BYTES);
      running = new RunningCall(word, app.importPath, action);
      this.#running.set(id, running);
      running.addCredit(credit);
      const value = this.#begin(running, app, action, args);
      if (!isThenable(value) && !isStream(value) && !wantsStream)
        this.#end(id, running, this.#packed({ type: FRAME.result, id }, value, 'the result', packPieces));
      else void this.#answerLater(running, app, value, wantsStream);
    } catch (error) {
      this.#end(id, running, [packFrame({ type: FRAME.error, id }, payloadOfError(error, running))]);
    }
  }

  /** Never rejects. */
  async #answerLater(
    running: RunningCall,
    app: RunningApp,
    value: unknown,
    wantsStream: boolean,
  ): Promise<void> {
    const { id } = running;
    let answer: Buffer[];
    try {
      answer = await this.#rest(running, app, await value, wantsStream);
    } catch (error) {
      answer = [packFrame({ type: FRAME.error, id }, payloadOfError(error, running))];
    }
    this.#end(id, running, answer);
  }

  #refuse(id: number, error: DirtyError): void {
    this.#end(id, undefined, [packFrame({ type: FRAME.error, id }, errorPayloadOf(error))]);
  }

  #end(id: number, running: RunningCall | undefined, answer: readonly Buffer[]): void {
    running?.done();
    this.#ended++;
    this.#running.delete(id);
    const isLarge = running && payloadBytesOf(answer[0]!) >= DIRECT_BYTES;
    if (!isLarge || !this.#sentDirectly(running, answer)) sendPieces(this.#options, answer);
    if (this.running > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Large results go to their caller by its own way, where there is one and it is free; the router is told that they did. */
  #sentDirectly(running: RunningCall, answer: readonly Buffer[]): boolean {
    const frame = answer[0]!;
    const way = typeOf(frame) === FRAME.result ? this.#options.direct(running.caller) : undefined;
    if (!way || way.ended || way.queuedBytes > this.#options.frameBytesMax) return false;
    setId(frame, running.callerId);
    sendPieces(way, answer);
    this.#options.send(bareFrame({ type: FRAME.end, flags: FLAG_DIRECT, id: running.id }));
    return true;
  }

  #app(number: number): RunningApp {
    const app = this.#options.apps.get(number);
    if (app) return app;
    throw new Refusal(new DirtyAppNotFoundError(`this worker has no app ${number}`));
  }

  #begin({ call }: RunningCall, app: RunningApp, name: string, args: unknown[]): unknown {
    const action = app.actions.get(name);
    if (!action) throw new Refusal(noAction(app, name));
    // Of a generator nothing runs here yet: it belongs to the call step by step.
    return runInCall(call, () => Reflect.apply(action, app.instance, args));
  }

  /** The last frame of the answer. */
  async #rest(
    running: RunningCall,
    app: RunningApp,
    value: unknown,
    wantsStream: boolean,
  ): Promise<Buffer[]> {
    const { id, call } = running;
    if (isStream(value) !== wantsStream) throw new Refusal(wrongWay(app, call.action, wantsStream));
    if (!wantsStream) {
      if (running.isCancelled) throw running.reason;
      return this.#packed({ type: FRAME.result, id }, value, 'the result', packPieces);
    }
    const chunk = (each: unknown): void => {
      const frame = this.#packed({ type: FRAME.chunk, id }, each, 'the chunk', packFrame);
      running.takeCredit(payloadBytesOf(frame));
      this.#options.send(frame);
    };
    await streamOut(running, value as object, chunk, (error) =>
      this.#options.notice(
        `${app.importPath}: ${call.action} failed to clean up: ${payloadOfError(error).message}`,
      ),
    );
    return [bareFrame({ type: FRAME.end, id })];
  }

  #packed<T>(
    header: Header,
    value: unknown,
    what: string,
    packer: (header: Header, value: unknown, what: string, bytesMax: number) => T,
  ): T {
    try {
      return packer(header, value, what, this.#options.frameBytesMax);
    } catch (error) {
      throw error instanceof DirtyPayloadError ? new Refusal(error) : error;
    }
  }
}

function callOf(bytes: Buffer, isLasting: boolean): { action: string; args: unknown[] } {
  const payload = unpacked(bytes, isLasting);
  if (Array.isArray(payload) && payload.length === 2) {
    const [action, args] = payload;
    if (typeof action === 'string' && Array.isArray(args)) return { action, args };
  }
  throw new Refusal(new DirtyPayloadError('a call is [action, [...arguments]]'));
}

function unpacked(bytes: Buffer, isLasting: boolean): unknown {
  try {
    return unpack(bytes, isLasting);
  } catch (error) {
    throw new Refusal(new DirtyPayloadError(`the call cannot be read: ${(error as Error).message}`));
  }
}

function noAction(app: RunningApp, name: string): DirtyError {
  const short = name.slice(0, NAME_LENGTH_MAX);
  const isField = Object.hasOwn(app.instance, name) && typeof Reflect.get(app.instance, name) === 'function';
  const why = isField ? ': that is a field, and actions are methods' : didYouMean(short, app.actions.keys());
  return new DirtyActionError(`${app.importPath} has no action "${short}"${why}`);
}

function wrongWay(app: RunningApp, name: string, wantsStream: boolean): DirtyError {
  const what = wantsStream ? 'gives one result, and is no generator' : 'is a generator';
  const how = wantsStream ? 'await it, by dirty.execute' : 'read it with for await, by dirty.stream';
  return new DirtyActionError(`${app.importPath}: "${name}" ${what}: ${how}`);
}

function payloadOfError(error: unknown, running?: RunningCall): ErrorPayload {
  if (error instanceof Refusal) return errorPayloadOf(error.error);
  // What stopped because it was told to is no error of the app's.
  const reason = running?.reason;
  if (reason && (error === reason || isAbort(error))) return errorPayloadOf(reason);
  // Of another call that the action made: for this caller it is the action that threw.
  if (error instanceof DirtyError && !(error instanceof DirtyAppError))
    return errorPayloadOf(new DirtyAppError(error.message, error.name, error.stack));
  return errorPayloadOf(error);
}

function isAbort(error: unknown): boolean {
  try {
    return (error as Error | null)?.name === 'AbortError';
  } catch {
    // It has a getter that throws.
    return false;
  }
}
