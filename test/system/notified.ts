/** A service manager's side of sd_notify: a real datagram socket, of Python's since Node.js has none, with or without a file. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { eventually } from './harness.ts';

const SCRIPT = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
a = sys.argv[1]
s.bind('\\0' + a[1:] if a[0] == '@' else a)
print('bound', flush=True)
while True:
    print(repr(s.recv(65536).decode()), flush=True)
`;

export class Manager {
  readonly #child: ChildProcess;
  #text = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text;
    });
  }

  static async listen(t: TestContext, socket: string): Promise<Manager> {
    const child = spawn('python3', ['-c', SCRIPT, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const manager = new Manager(child);
    await eventually('the socket is bound', () => manager.#text.startsWith('bound'));
    return manager;
  }

  /** The messages so far, each with its assignments; the barrier that follows some of them is none. */
  get messages(): string[][] {
    return this.#text
      .split('\n')
      .slice(1, -1)
      .map((line) => line.slice(1, -1).split('\\n').filter(Boolean))
      .filter(([first]) => first !== 'BARRIER=1');
  }

  /** What is said first in each, signs of life left out. */
  get said(): string[] {
    return this.messages.map(([first = '']) => first).filter((first) => first !== 'WATCHDOG=1');
  }

  async heard(first: string, times = 1): Promise<string[]> {
    return await eventually(`${first} is heard`, () =>
      this.messages.filter((message) => message[0] === first).at(times - 1),
    );
  }

  get pid(): number {
    return this.#child.pid!;
  }
}
