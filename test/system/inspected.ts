/** Those who watch a real server, through its control socket or as its page does, and what they have been told. */
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { type ClientOptions, WebSocket } from 'ws';
import { Board } from '../../src/actors/inspect/board.ts';
import type { Hello, Message, State, Told, ToldActor } from '../../src/actors/inspect/records.ts';
import { ControlClient } from './control-client.ts';
import { eventually, type Server } from './harness.ts';

/** What messages told, put together as any watcher does it. */
export class Seen {
  readonly board = new Board();
  readonly records: Told[] = [];
  /** The same, by the numbers they have. */
  readonly bySeq = new Map<number, Told>();
  hello: Hello | undefined;
  lost = 0;
  isLive = false;
  /** Of the last record. */
  seq = 0;
  /** Of the last record that was part of the first state: every later one is told, or counted as lost. */
  from: number | undefined;
  bye: string | undefined;

  take(message: Message): void {
    switch (message.type) {
      case 'hello':
        this.hello = message;
        return;
      case 'state':
        if (message.part === 1) this.board.clear();
        for (const one of [...message.processes, ...message.actors, ...message.beats]) this.board.apply(one);
        this.seq = message.seq;
        this.from ??= message.seq;
        return;
      case 'records':
        if (message.seq !== this.seq + 1) throw new Error(`record ${message.seq} after ${this.seq}`);
        for (const record of message.records) {
          this.board.apply(record);
          this.records.push(record);
          this.bySeq.set(++this.seq, record);
        }
        return;
      case 'lost':
        this.lost += message.records;
        return;
      case 'live':
        this.isLive = true;
        return;
      case 'bye':
        this.bye = message.reason;
        return;
    }
  }

  get state(): State {
    return this.board.state;
  }

  /** The root actors of processes of a kind. */
  roots(kind: string): ToldActor[] {
    const pids = new Set(this.state.processes.flatMap((one) => (one.process === kind ? one.pid : [])));
    return this.state.actors.filter(({ root, pid }) => root && pids.has(pid));
  }

  until<T>(what: string, condition: (seen: this) => T): Promise<NonNullable<T>> {
    return eventually(what, () => condition(this));
  }
}

export interface ControlWatcher extends Seen {
  client: ControlClient;
}

/** Watches over the control socket. */
export async function watchOverControl(t: TestContext, path: string): Promise<ControlWatcher> {
  const client = await ControlClient.connect(path);
  t.after(() => client.destroy());
  const seen = Object.assign(new Seen(), { client });
  let taken = 0;
  client.request({ id: 'inspect', command: 'inspect', stream: true });
  const take = (): void => {
    for (; taken < client.frames.length; taken++) {
      const { status, data } = client.frames[taken]!;
      if (status === 'progress') seen.take(data as Message);
    }
  };
  client.socket.on('data', () => queueMicrotask(take));
  return seen;
}

/** The page's end of a server's WebSocket. */
export interface PageWatcher extends Seen {
  socket: WebSocket;
  answers: { id: number; ok: boolean; data?: unknown; error?: string }[];
  closed: { code: number; reason: string } | undefined;
  /** Sends a command and waits for its answer. */
  command(...words: string[]): Promise<{ ok: boolean; data?: unknown; error?: string }>;
}

/** Where the inspector of a server is, as its log tells. */
export async function inspectorOf(server: Server): Promise<URL> {
  const { msg } = await server.told(/^inspector at /);
  return new URL(/http:\S+/.exec(msg)![0]);
}

/** The memory of a process that is in use, in bytes; Linux only. */
export const residentBytes = (pid: number): number =>
  1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);

/** Opens a WebSocket; rejects with `refused: STATUS` where there is none. */
export function openSocket(
  t: TestContext,
  url: URL | string,
  options: ClientOptions = {},
): Promise<WebSocket> {
  const socket = new WebSocket(url, options);
  t.after(() => socket.terminate());
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.on('error', reject);
    socket.once('unexpected-response', (_, { statusCode }) => reject(new Error(`refused: ${statusCode}`)));
  });
}

/** Watches as the page does. */
export async function watchPage(t: TestContext, url: URL, options: ClientOptions = {}): Promise<PageWatcher> {
  const socket = new WebSocket(new URL('/live', url), options);
  t.after(() => socket.terminate());
  let lastId = 0;
  const seen: PageWatcher = Object.assign(new Seen(), {
    socket,
    answers: [],
    closed: undefined,
    async command(...words: string[]) {
      const id = ++lastId;
      socket.send(JSON.stringify({ type: 'command', id, words }));
      return await eventually(`${words.join(' ')} is answered`, () =>
        seen.answers.find((one) => one.id === id),
      );
    },
  });
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.type === 'answer') seen.answers.push(message);
    else seen.take(message);
  });
  socket.on('close', (code, reason) => {
    seen.closed = { code, reason: String(reason) };
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.on('error', reject);
  });
  return seen;
}
