/**
 * A caller's connection to the router: made when it is first needed, and made again by the next call after it was
 * lost. Runs in web workers, and in dirty workers whose actions call other apps. While nothing is pending it does
 * not keep its process alive.
 */
import type { Buffer } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { canonicalName } from './app-name.ts';
import type { Channel } from './channel.ts';
import { DirtyConnectionError, type DirtyError, errorOf } from './errors.ts';
import { FRAME, FRAME_BYTES_MAX, payloadOf, typeOf } from './frames.ts';
import { type CallerHello, welcomeOf } from './hello.ts';
import { packFrame, unpack } from './packing.ts';
import { connectChannel } from './socket-channel.ts';

/** The path of the router's socket, or what opens a channel to it. */
export type Connect = string | (() => Promise<Channel>);

/** How long a dirty arbiter that does not listen is waited for, and how often it is tried. */
const PATIENCE_MS = 10_000;
const AGAIN_MS = 50;
/** How long the router may take to answer a hello. */
const WELCOME_MS = 10_000;

/** A connection on which the router has said welcome. */
export interface Line {
  readonly channel: Channel;
  /** By their canonical names. */
  readonly apps: ReadonlyMap<string, number>;
  /** As they were named in the settings. */
  readonly names: readonly string[];
  /** The largest payload, in bytes. */
  readonly frameBytesMax: number;
  /** What the router calls this caller. */
  readonly caller: number;
}

export interface LineHandlers {
  frame(frame: Buffer, more: readonly Buffer[]): void;
  /** The line is gone, and with it all that is pending on it. */
  ended(error: DirtyError): void;
}

/**
 * Connects and says hello. Rejects with DirtyConnectionError. `isPending` says whether it may keep the process alive. While
 * the dirty arbiter starts, or is started again, nothing was sent that could be done twice: it is waited for.
 */
export async function openLine(
  connect: Connect,
  hello: CallerHello,
  handlers: LineHandlers,
  isPending: () => boolean,
): Promise<Line> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      const channel = await (typeof connect === 'string' ? connectChannel(connect) : connect());
      return await greeted(channel, hello, handlers, isPending);
    } catch (error) {
      const isPatient = typeof connect === 'string' && isPending() && performance.now() < untilMs;
      if (!isPatient || !isAbsence(error))
        throw error instanceof DirtyConnectionError ? error : noArbiter(error as Error);
      await sleep(AGAIN_MS);
    }
  }
}

/** Nobody said anything: one that is killed may still be connected to until its socket is gone with it. */
class Unanswered extends DirtyConnectionError {}

const ABSENT = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT']);

const isAbsence = (error: unknown): boolean =>
  error instanceof Unanswered || ABSENT.has((error as NodeJS.ErrnoException).code ?? '');

const noArbiter = (error: Error): DirtyConnectionError =>
  new DirtyConnectionError(`there is no dirty arbiter: ${error.message}`, { cause: error });

function greeted(
  channel: Channel,
  hello: CallerHello,
  handlers: LineHandlers,
  isPending: () => boolean,
): Promise<Line> {
  return new Promise((resolve, reject) => {
    let isWelcome = false;
    let isRefused = false;
    const refuse = (why: string): void => {
      isRefused = true;
      channel.close(why);
    };
    const limit = setTimeout(() => refuse(`it did not say welcome for ${WELCOME_MS} ms`), WELCOME_MS);
    if (!isPending()) {
      limit.unref();
      channel.unref();
    }
    channel.open({
      frame(frame, more) {
        if (isWelcome) return handlers.frame(frame, more);
        clearTimeout(limit);
        const welcome = typeOf(frame) === FRAME.welcome ? welcomeIn(payloadOf(frame, more)) : undefined;
        if (typeOf(frame) === FRAME.error) return refuse(reasonIn(payloadOf(frame, more)));
        if (!welcome) return refuse('it is no dirty arbiter of this version');
        isWelcome = true;
        const apps = new Map(
          welcome.apps.map(({ importPath, number }) => [canonicalName(importPath), number]),
        );
        const names = welcome.apps.map(({ importPath }) => importPath);
        const frameBytesMax = Math.min(welcome.frameBytesMax, FRAME_BYTES_MAX);
        resolve({ channel, apps, names, frameBytesMax, caller: welcome.caller });
      },
      ended(why, isBroken) {
        clearTimeout(limit);
        // What is said in another version of the wire is no absence.
        const Kind = isWelcome || isRefused || isBroken ? DirtyConnectionError : Unanswered;
        const error = new Kind(`the connection to the dirty arbiter ended: ${why}`);
        if (isWelcome) handlers.ended(error);
        else reject(error);
      },
    });
    channel.send(packFrame({ type: FRAME.hello }, hello));
  });
}

/** Why the router does not let it in. */
function reasonIn(payload: Buffer): string {
  try {
    return `it refused: ${errorOf(unpack(payload)).message}`;
  } catch {
    return 'it refused';
  }
}

function welcomeIn(payload: Buffer) {
  try {
    return welcomeOf(unpack(payload));
  } catch {
    return undefined;
  }
}
