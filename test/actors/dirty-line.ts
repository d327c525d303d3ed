/** For tests: a runtime with a connection to the router, as a dirty worker has it, without its process. */
import type { Buffer } from 'node:buffer';
import type { Channel } from '../../src/actors/dirty/channel.ts';
import { DirtyConnectionError } from '../../src/actors/dirty/errors.ts';
import { FRAME, payloadOf, typeOf } from '../../src/actors/dirty/frames.ts';
import {
  DIRTY_PROTOCOL,
  type Door,
  type Welcome,
  type WorkerHello,
  welcomeOf,
} from '../../src/actors/dirty/hello.ts';
import { packFrame, unpack } from '../../src/actors/dirty/packing.ts';
import { DirtyRuntime } from '../../src/actors/dirty/runtime.ts';
import type { RunningApp } from '../../src/actors/dirty/runtime-apps.ts';
import { RuntimeDoor } from '../../src/actors/dirty/runtime-door.ts';
import { connectChannel } from '../../src/actors/dirty/socket-channel.ts';

export interface RuntimeLineOptions {
  /** The router's socket. */
  socket: string;
  pid: number;
  age: number;
  generation: number;
  secret: string;
  /** By their numbers; all that are to be had are there already. */
  apps: ReadonlyMap<number, RunningApp>;
  /** Takes large payloads from callers by themselves. */
  door?: string | undefined;
  /** What is worth a warning in the log. */
  notice(text: string): void;
  /** The connection was lost; whatever ran was told to end. Not said after `close`. */
  ended(why: string): void;
}

export interface RuntimeLine {
  readonly runtime: DirtyRuntime;
  readonly door: RuntimeDoor;
  /** Takes no more calls. */
  close(): void;
}

/** How long the router may take to answer a hello. */
const WELCOME_MS = 10_000;

/** Resolves when the router has said welcome; calls may come at once. Rejects with DirtyConnectionError. */
export async function openRuntimeLine(options: RuntimeLineOptions): Promise<RuntimeLine> {
  let runtime: DirtyRuntime | undefined;
  const door = new RuntimeDoor({
    payload: (...brought) => runtime!.brought(...brought),
    withdrawn: (...call) => runtime!.withdrawn(...call),
    callerGone: (caller) => runtime!.callerGone(caller),
  });
  const direct = options.door === undefined ? undefined : await door.open(options.door);
  let channel: Channel;
  try {
    channel = await connectChannel(options.socket);
  } catch (error) {
    throw new DirtyConnectionError(`there is no router: ${(error as Error).message}`, { cause: error });
  }
  const line = await greeted(channel, door, direct, options);
  runtime = line.runtime;
  return line;
}

function greeted(
  channel: Channel,
  door: RuntimeDoor,
  direct: Door | undefined,
  options: RuntimeLineOptions,
): Promise<RuntimeLine> {
  const { pid, age, generation, secret, apps, notice } = options;
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => channel.close(`it did not say welcome for ${WELCOME_MS} ms`), WELCOME_MS);
    let runtime: DirtyRuntime | undefined;
    let isClosed = false;
    const close = (): void => {
      isClosed = true;
      channel.close();
      door.close();
    };
    const welcomed = (frame: Buffer, more: readonly Buffer[]): void => {
      clearTimeout(limit);
      const welcome = typeOf(frame) === FRAME.welcome ? welcomeIn(payloadOf(frame, more)) : undefined;
      if (!welcome) return channel.close('it is no router of this version');
      const { frameBytesMax } = welcome;
      runtime = new DirtyRuntime({
        apps,
        notice,
        frameBytesMax,
        send: (answer) => channel.send(answer),
        direct: (caller) => door.to(caller),
      });
      resolve({ runtime, door, close });
    };
    channel.open({
      frame(frame, more) {
        if (!runtime) welcomed(frame, more);
        else if (!runtime.take(frame, more))
          channel.close(`a frame of type ${typeOf(frame)} from the router`);
      },
      ended(why) {
        clearTimeout(limit);
        if (!runtime) return reject(new DirtyConnectionError(`the connection to the router ended: ${why}`));
        runtime.cancelAll('the connection to the router ended');
        if (!isClosed) options.ended(why);
      },
    });
    const hello: WorkerHello = {
      role: 'worker',
      protocol: DIRTY_PROTOCOL,
      pid,
      age,
      generation,
      apps: [...apps.keys()],
      secret,
      direct,
    };
    channel.send(packFrame({ type: FRAME.hello }, hello));
  });
}

function welcomeIn(payload: Buffer): Welcome | undefined {
  try {
    return welcomeOf(unpack(payload));
  } catch {
    return undefined;
  }
}
