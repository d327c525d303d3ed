/**
 * Servers for the shell's tests: one that does whatever a test says, and one that speaks the documented wire of
 * Gunicorn and nothing more.
 */
import net from 'node:net';
import type { TestContext } from 'node:test';
import { encodeFrame, FrameQueue } from '../../src/actors/control/frames.ts';
import { splitWords } from '../../src/actors/control/words.ts';

export interface WireRequest {
  id: number;
  command: string;
  args?: string[];
  stream?: boolean;
}

export interface Peer {
  socket: net.Socket;
  request: WireRequest;
  /** The words of the command and its args. */
  words: string[];
  ok(data: unknown): void;
  fail(error: string | undefined): void;
  progress(data: unknown): void;
}

export type Handler = (peer: Peer) => void;

export class StandIn {
  readonly requests: WireRequest[] = [];
  readonly sockets = new Set<net.Socket>();
  readonly #server: net.Server;
  handler: Handler;

  private constructor(handler: Handler) {
    this.handler = handler;
    this.#server = net.createServer((socket) => this.#serve(socket));
  }

  static async listen(t: TestContext, path: string, handler: Handler): Promise<StandIn> {
    const one = new StandIn(handler);
    await new Promise<void>((resolve, reject) => {
      one.#server.once('error', reject).listen(path, resolve);
    });
    t.after(() => one.stop());
    return one;
  }

  /** The words of every request so far. */
  get commands(): string[] {
    return this.requests.map(({ command, args = [] }) => [command, ...args].join(' '));
  }

  /** Ends every connection; new ones are taken. */
  dropAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.dropAll();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket)).on('error', () => {});
    const frames = new FrameQueue(1024 * 1024);
    socket.on('data', (bytes: Buffer) => {
      frames.push(bytes);
      for (let body = frames.next(); body; body = frames.next()) this.#take(socket, JSON.parse(String(body)));
    });
  }

  #take(socket: net.Socket, request: WireRequest): void {
    this.requests.push(request);
    const send = (frame: object) =>
      socket.writable && socket.write(encodeFrame({ id: request.id, ...frame }));
    this.handler({
      socket,
      request,
      words: [...splitWords(request.command), ...(request.args ?? [])],
      ok: (data) => send({ status: 'ok', data }),
      fail: (error) => send({ status: 'error', error }),
      progress: (data) => send({ status: 'progress', data }),
    });
  }
}

export const STATS = {
  uptime: 8130.27,
  pid: 12345,
  workers_current: 4,
  workers_target: 4,
  workers_spawned: 6,
  workers_killed: 2,
  reloads: 1,
  dirty_arbiter_pid: null,
};

export const HELP = {
  'show all': 'Show all processes',
  'show workers': 'Show workers',
  'show dirty': 'Show dirty workers',
  'show config': 'Show configuration',
  'show stats': 'Show statistics',
  'show listeners': 'Show listeners',
  'worker add [N]': 'Spawn N workers',
  'worker remove [N]': 'Remove N workers',
  'worker kill <PID>': 'Kill a worker',
  'dirty add [N]': 'Spawn N dirty workers',
  'dirty remove [N]': 'Remove N dirty workers',
  reload: 'Reload',
  reopen: 'Reopen logs',
  'shutdown [graceful|quick]': 'Shut down',
  help: 'Show this',
};

const web = (pid: number, age: number, last_heartbeat: number | null) => ({
  pid,
  type: 'web',
  age,
  booted: false,
  last_heartbeat,
});

export const WEB = [web(12346, 1, 0.05), web(12347, 2, 2)];
export const ALL = {
  arbiter: { pid: 12345, type: 'arbiter', role: 'master' },
  web_workers: WEB,
  web_worker_count: 2,
  dirty_arbiter: null,
  dirty_workers: [],
  dirty_worker_count: 0,
};

/** What a stock Gunicorn answers, one request after the other, whatever else a request asks for. */
export const stock: Handler = ({ words, ok, fail }) => {
  const [verb = '', what, ...rest] = words.map((word, at) => (at < 2 ? word.toLowerCase() : word));
  const invalid = (text: string) => fail(`Invalid argument: ${text}`);
  const command = verb === 'show' || verb === 'worker' || verb === 'dirty' ? `${verb} ${what}` : verb;
  switch (command) {
    case 'show all':
      return ok(ALL);
    case 'show workers':
      return ok({
        workers: WEB.map(({ type: _type, ...one }) => ({ ...one, aborted: false })),
        count: 2,
      });
    case 'show dirty':
      return ok({ enabled: false, pid: null, workers: [], apps: [] });
    case 'show config':
      return ok({ workers: 2, bind: ['127.0.0.1:8000'], preload_app: false, user: null, proc_name: 'app' });
    case 'show stats':
      return ok(STATS);
    case 'show listeners':
      return ok({ listeners: [{ address: '127.0.0.1:8000', fd: 5, type: 'tcp' }], count: 1 });
    case 'worker add': {
      const added = Number(rest[0] ?? 1);
      if (!Number.isInteger(added)) return invalid(`invalid literal for int() with base 10: '${rest[0]}'`);
      return ok({ added, previous: 2, total: 2 + added });
    }
    case 'worker kill': {
      const pid = Number(rest[0]);
      if (rest[0] === undefined) return invalid('Missing PID for worker kill');
      const known = WEB.some((one) => one.pid === pid);
      return ok(
        known ? { success: true, killed: pid } : { success: false, error: `Worker ${pid} not found` },
      );
    }
    case 'reload':
      return ok({ status: 'reloading' });
    case 'reopen':
      return ok({ status: 'reopening' });
    case 'shutdown':
      return ok({ status: 'shutting_down', mode: what ?? 'graceful' });
    case 'help':
      return ok({ commands: HELP });
    case '':
      return fail('Empty command');
  }
  if (verb === 'show' && what === undefined)
    return invalid('Missing show target (all|workers|dirty|config|stats|listeners)');
  if (verb === 'show') return invalid(`Unknown show target: ${what}`);
  if (verb === 'worker') return invalid(`Unknown worker action: ${what}`);
  if (verb === 'dirty') return invalid(`Unknown dirty action: ${what}`);
  return fail(`Unknown command: ${verb}`);
};
