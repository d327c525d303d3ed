/**
 * The thread that says where the main thread of its worker hangs. Runs in web workers, beside the app, where `--hang-stack` is given;
 * it sleeps until the arbiter asks. It takes the stack as a debugger does, by pausing the main thread, which works in an endless loop
 * too, but not while that one is in native code. The other side is `asker.ts`.
 */
import { type Debugger, Session } from 'node:inspector';
import { Socket } from 'node:net';
import { workerData } from 'node:worker_threads';
import type { Found } from '../../machines/events/process.ts';
import { type Script, SourcePlaces } from './source-places.ts';

/** How long the main thread may take until it is paused: one that runs JavaScript takes a millisecond. */
const PAUSE_MS = 1500;
const FRAMES_MAX = 50;

export function runHangThread(): void {
  const { fd } = workerData as { fd: number };
  const socket = new Socket({ fd, readable: true, writable: true });
  let isAsked = false;
  socket.on('error', () => {});
  socket.on('data', () => {
    if (isAsked) return;
    isAsked = true;
    void whereMainIs().then((found) => {
      isAsked = false;
      socket.write(`${JSON.stringify(found)}\n`);
    });
  });
}

function whereMainIs(): Promise<Found> {
  return new Promise((resolve) => {
    const scripts = new Map<string, Script>();
    const session = new Session();
    const end = (found: Found): void => {
      clearTimeout(limit);
      session.disconnect();
      resolve(found);
    };
    const limit = setTimeout(
      () => end({ why: 'the main thread runs no JavaScript: it is in native code, or waits there' }),
      PAUSE_MS,
    );
    try {
      session.connectToMainThread();
    } catch (error) {
      return end({
        why: `no debugger can attach: ${error instanceof Error ? error.message : String(error)}`,
      });
    }
    session.on('Debugger.scriptParsed', ({ params: { scriptId, url, sourceMapURL } }) =>
      scripts.set(scriptId, { url, sourceMapUrl: sourceMapURL }),
    );
    session.on('Debugger.paused', ({ params }) => end({ stack: stackOf(params.callFrames, scripts) }));
    session.post('Debugger.enable');
    session.post('Debugger.pause');
  });
}

function stackOf(frames: readonly Debugger.CallFrame[], scripts: ReadonlyMap<string, Script>): string {
  const places = new SourcePlaces();
  const lines = frames.slice(0, FRAMES_MAX).map(({ functionName, location, url }) => {
    const script = scripts.get(location.scriptId) ?? { url };
    const place = places.of(script, location.lineNumber, location.columnNumber ?? 0);
    return `    at ${functionName === '' ? place : `${functionName} (${place})`}`;
  });
  if (frames.length > FRAMES_MAX) lines.push(`    ... ${frames.length - FRAMES_MAX} more`);
  return lines.join('\n');
}
