/**
 * A server that goes on by itself: `kirin --daemon` starts the arbiter in a session of its own, without a terminal, and ends when it
 * serves or has failed to. Runs in both: in the process that was started by hand, which waits, and in the arbiter, which has nothing
 * for its standard streams and tells the other over a pipe how its start went.
 */
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, writeSync } from 'node:fs';
import { EXIT } from '../machines/faults.ts';
import { killChild } from './child-kill.ts';
import { childStdio, inheritedOptions } from './inherited.ts';
import { sayAtTheEnd, tellAtTheEnd } from './log-sink.ts';

/** Where the arbiter finds the pipe, and the variable that says so. */
const TELL_FD = 3;
const VARIABLE = 'KIRIN_DAEMON_FD';
/** The arbiter's last words to the one who waits. */
const SERVING = '\0serving\n';
/** What the arbiter may say of a start that failed. */
const WORDS_LENGTH_MAX = 64 * 1024;

/** The arbiter's side. */
export interface Daemon {
  /** Tells that it serves: nobody waits any more. */
  serving(): void;
}

/** Undefined where nobody waits: the process is no daemon, or not yet. From now on what is said at the end reaches whoever waits. */
export function daemonHere(env: NodeJS.ProcessEnv = process.env): Daemon | undefined {
  const isHere = env[VARIABLE] === String(TELL_FD) && isPipe(TELL_FD);
  // For this process alone.
  delete env[VARIABLE];
  if (!isHere) return undefined;
  const tell = (text: string): void => {
    try {
      writeSync(TELL_FD, text);
    } catch {
      // Whoever waited was killed: the server goes on.
    }
  };
  tellAtTheEnd((text) => tell(`${text}\n`));
  return {
    serving() {
      tell(SERVING);
      closeSync(TELL_FD);
      tellAtTheEnd(() => {});
    },
  };
}

function isPipe(fd: number): boolean {
  try {
    const kind = fstatSync(fd);
    return kind.isFIFO() || kind.isSocket();
  } catch {
    return false;
  }
}

/** Starts the arbiter and waits for it; resolves with the exit code. An order to stop is passed on, and its end waited for. */
export function startDaemon(argv: readonly string[], stopped: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...inheritedOptions(), process.argv[1]!, ...argv], {
      detached: true,
      env: { ...process.env, [VARIABLE]: String(TELL_FD) },
      // Nothing that was open by chance: whoever waits for its end would wait for the daemon's.
      stdio: childStdio(['ignore', 'ignore', 'ignore', 'pipe']),
    });
    let words = '';
    const stop = (): void => void killChild(child, 'SIGTERM');
    stopped.addEventListener('abort', stop);
    if (stopped.aborted) stop();
    child.once('error', ({ message }) => {
      sayAtTheEnd(`kirin: the daemon could not be started: ${message}`);
      resolve(EXIT.runtime);
    });
    child.stdio[TELL_FD]
      ?.on('error', () => {})
      .on('data', (part: Buffer) => {
        if (words.length < WORDS_LENGTH_MAX) words += part.toString();
        if (words.endsWith(SERVING)) resolve(EXIT.ok);
      });
    // When its pipe has ended too, so that its last words are here.
    child.once('close', (code, signal) => {
      if (words !== '') sayAtTheEnd(words.trimEnd());
      else if (signal) sayAtTheEnd(`kirin: the daemon was ended by ${signal} before it served`);
      else if (code !== EXIT.ok)
        sayAtTheEnd(`kirin: the daemon ended with exit code ${code} before it served; its log says why`);
      resolve(code ?? EXIT.runtime);
    });
  });
}
