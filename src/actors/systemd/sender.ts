/**
 * Sends what a service manager is told, by the protocol of sd_notify, to its datagram socket. Runs in the arbiter. Node.js has no
 * such sockets, so a small program sends each message: `systemd-notify` is wherever systemd is; elsewhere (podman hands the socket
 * into a container) one of those that can do it too. One message after the other, since their order means something.
 */
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { killChild } from '../child-kill.ts';
import { childStdio, inheritedEnv } from '../inherited.ts';
import { spawn } from '../priority.ts';

/** A message that takes longer is given up. */
const SEND_MS = 5000;
/** More that wait: the oldest is dropped. Each message says all there is to say at its time. */
const QUEUE_MAX = 16;

export interface Way {
  program: string;
  /** The arguments that make it send these assignments to this socket. */
  args(message: readonly string[], socket: string): string[];
}

const PYTHON =
  "import socket,sys;a=sys.argv[1];s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.sendto(sys.argv[2].encode(),'\\0'+a[1:] if a[0]=='@' else a)";
const PERL =
  'use Socket;my($a,$m)=@ARGV;$a=~s/^@/\\0/;socket(my $s,AF_UNIX,SOCK_DGRAM,0)||die $!;send($s,$m,0,pack_sockaddr_un($a))||die $!';

/** In the order in which they are tried. */
export const WAYS: readonly Way[] = [
  { program: 'systemd-notify', args: (message) => ['--', ...message] },
  { program: 'python3', args: (message, socket) => ['-Sc', PYTHON, socket, message.join('\n')] },
  { program: 'perl', args: (message, socket) => ['-e', PERL, socket, message.join('\n')] },
];

export interface SenderDeps {
  /** A path, or `@` and a name without a file. */
  socket: string;
  notice(text: string): void;
  env?: NodeJS.ProcessEnv;
  /** Default: all there are. */
  ways?: readonly Way[];
}

export class Sender {
  readonly #deps: SenderDeps;
  readonly #env: NodeJS.ProcessEnv;
  #ways: { way: Way; file: string }[];
  #queue: string[][] = [];
  #busy: Promise<void> | undefined;
  #isMute = false;
  /** Whether a message has got through, and whether the last one has not. */
  #works = false;
  #fails = false;

  constructor(deps: SenderDeps) {
    this.#deps = deps;
    this.#env = deps.env ?? process.env;
    this.#ways = (deps.ways ?? WAYS).flatMap((way) => {
      const file = found(way.program, this.#env['PATH']);
      return file === undefined ? [] : [{ way, file }];
    });
  }

  send(message: string[]): void {
    if (this.#isMute) return;
    // Nobody needs the second of two that say the same.
    if (this.#queue.at(-1)?.join('\n') === message.join('\n')) return;
    this.#queue.push(message);
    if (this.#queue.length > QUEUE_MAX) this.#queue.shift();
    this.#busy ??= this.#drain();
  }

  /** Resolves when all is sent, or given up. */
  async end(): Promise<void> {
    await this.#busy;
  }

  async #drain(): Promise<void> {
    for (let message = this.#queue.shift(); message && !this.#isMute; message = this.#queue.shift())
      await this.#sendOne(message);
    this.#busy = undefined;
  }

  async #sendOne(message: readonly string[]): Promise<void> {
    let why = `none of ${WAYS.map(({ program }) => program).join(', ')} is there to send it`;
    for (const { way, file } of [...this.#ways]) {
      const failed = await this.#run(file, way.args(message, this.#deps.socket));
      if (failed === undefined) {
        // The next message goes the way that works.
        this.#ways = this.#ways.filter((one) => one.way === way);
        this.#works = true;
        this.#fails = false;
        return;
      }
      why = `${way.program}: ${failed}`;
    }
    // What has worked may work again: a machine that is short of processes is not for ever.
    this.#isMute = !this.#works;
    const hope = this.#works ? '; tried again with each message' : '';
    if (!this.#fails)
      this.#deps.notice(
        `the service manager is told nothing: ${why} (NOTIFY_SOCKET=${this.#deps.socket})${hope}`,
      );
    this.#fails = true;
  }

  /** Why it failed, if it did. */
  #run(file: string, args: string[]): Promise<string | undefined> {
    return new Promise((resolve) => {
      let child: ChildProcess;
      try {
        child = spawn(file, args, {
          env: { ...inheritedEnv(this.#env), NOTIFY_SOCKET: this.#deps.socket },
          stdio: childStdio(['ignore', 'ignore', 'ignore']),
        });
      } catch (error) {
        resolve((error as NodeJS.ErrnoException).code ?? String(error));
        return;
      }
      const limit = setTimeout(() => killChild(child), SEND_MS);
      const settle = (failed: string | undefined): void => {
        clearTimeout(limit);
        resolve(failed);
      };
      child.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
      child.once('exit', (code, signal) =>
        settle(code === 0 ? undefined : `it ended with ${signal ?? code}`),
      );
    });
  }
}

function found(program: string, path = ''): string | undefined {
  return [...path.split(':').filter((part) => part.startsWith('/')), '/usr/bin', '/bin']
    .map((directory) => join(directory, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
