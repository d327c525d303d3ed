/**
 * The process of a new arbiter, as an actor of the successor machine: starts it as this one was started, hands it the descriptors,
 * and tells of it. Runs in the old arbiter. It is nobody's child in the sense of supervision: it outlives this process.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { fromCallback } from 'xstate';
import {
  type PredecessorWord,
  type SuccessorNews,
  type SuccessorOrder,
  type SuccessorWord,
  successorWords,
} from '../../machines/events/upgrade.ts';
import { killChild } from '../child-kill.ts';
import { isExhausted } from '../descriptors.ts';
import { toFault } from '../fault-error.ts';
import { childStdio } from '../inherited.ts';
import { type Link, openLink } from '../link.ts';
import { spawn } from '../priority.ts';
import { withUmask } from '../umask.ts';
import { VARIABLE, WORD_FD } from './heritage.ts';
import type { StartContext } from './start-context.ts';

export interface SuccessorDeps {
  start: StartContext;
  /** The hook before it. Rejects where the upgrade is to be given up. */
  before(): Promise<void>;
  /** What it inherits; from now on names of sockets are left to it. */
  handOver(): { text: string; fds: number[] };
  /** It serves: what only one of the two can have is freed. Resolves when it is. */
  yields(): Promise<void>;
  /** It is gone, if it ever was: everything is this process's again. */
  takeBack(pid: number | undefined): void;
}

export function successorProcess({ start, before, handOver, yields, takeBack }: SuccessorDeps) {
  return fromCallback<SuccessorOrder>(({ sendBack, receive }) => {
    const tell = sendBack as (news: SuccessorNews) => void;
    let child: ChildProcess | undefined;
    let isOver = false;
    const ended = (message: string): void => {
      if (isOver) return;
      isOver = true;
      takeBack(child?.pid);
      tell({ type: 'successor.ended', fault: { code: 'upgrade.failed', message } });
    };
    const begin = async (): Promise<void> => {
      await before();
      if (isOver) return;
      const { text, fds } = handOver();
      // What the settings of this one took away, those of the new one may not.
      child = withUmask(0o777 & ~start.umask, () =>
        spawn(execFile(), [...process.execArgv, start.file, ...start.argv], {
          cwd: existsSync(start.cwd) ? start.cwd : '/',
          env: environment(start.env, text),
          stdio: childStdio(['inherit', 'inherit', 'inherit', 'pipe', ...fds]),
        }),
      );
      const { pid } = child;
      child.once('spawn', () => tell({ type: 'successor.started', pid: pid ?? 0 }));
      child.once('error', (error) => ended(unstarted(error)));
      child.once('exit', (code, signal) =>
        ended(
          `the new arbiter (pid ${pid}) ended with ${signal ?? `exit code ${code}`}; what it logged says why`,
        ),
      );
      // Without a descriptor left it has none, and tells so above.
      const word = (child.stdio as typeof child.stdio | undefined)?.[WORD_FD];
      if (word) listen(word as Duplex);
    };
    const listen = (stream: Duplex): void => {
      const link: Link<PredecessorWord> = openLink<SuccessorWord, PredecessorWord>(
        stream,
        null,
        successorWords,
        {
          event() {
            tell({ type: 'successor.stands' });
            void yields().then(() => link.send({ type: 'predecessor.yields' }));
          },
          // A newer version may have more to say.
          unknown() {},
          broken() {},
          ended() {},
        },
      );
    };
    receive(({ signal }) => {
      if (child) killChild(child, signal);
    });
    begin().catch((error: unknown) =>
      ended(isTooLong(error) ? unstarted(error as Error) : toFault(error, 'upgrade.failed').message),
    );
    // The pipe stays open until this process has ended: its end is what the new arbiter waits for.
    return () => {
      isOver = true;
    };
  });
}

/** What it inherits is told in a variable, and the system limits those. */
const isTooLong = (error: unknown): boolean => (error as NodeJS.ErrnoException | undefined)?.code === 'E2BIG';

function unstarted(error: Error): string {
  const reason = isExhausted(error)
    ? 'no file descriptor is left (see ulimit -n)'
    : isTooLong(error)
      ? 'the names of its sockets are too long together: bind fewer addresses'
      : error.message;
  return `the new arbiter could not be started: ${reason}`;
}

/** As this process was given it, but for what names this process. */
function environment(given: Readonly<NodeJS.ProcessEnv>, text: string): NodeJS.ProcessEnv {
  const { WATCHDOG_PID: _, LISTEN_PID: __, ...env } = given;
  const own = String(process.pid);
  return { ...env, ...(process.env['LISTEN_PID'] === own ? { LISTEN_PID: own } : {}), [VARIABLE]: text };
}

/** The program that runs this one; where an update has removed it, the one that its name finds now. */
const execFile = (): string => (existsSync(process.execPath) ? process.execPath : process.argv0);
