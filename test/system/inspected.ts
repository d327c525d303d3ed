/** One who watches a real server through its control socket, and what it has been told. */
import type { TestContext } from 'node:test';
import { Board } from '../../src/actors/inspect/board.ts';
import type { Hello, Message, State, Told, ToldActor } from '../../src/actors/inspect/records.ts';
import { ControlClient } from './control-client.ts';
import { eventually } from './harness.ts';

/** What messages told, put together as any watcher does it. */
export class Seen {
  readonly board = new Board();
  readonly records: Told[] = [];
  hello: Hello | undefined;
  lost = 0;
  isLive = false;
  /** Of the last record. */
  seq = 0;
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
        return;
      case 'records':
        if (message.seq !== this.seq + 1) throw new Error(`record ${message.seq} after ${this.seq}`);
        this.seq += message.records.length;
        for (const record of message.records) {
          this.board.apply(record);
          this.records.push(record);
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
