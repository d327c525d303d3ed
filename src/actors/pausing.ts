/**
 * Lets servers stop accepting, and accept again, without anybody noticing: neither their clients nor the app. Runs in web
 * workers.
 *
 * libuv accepts on a listening handle until it is closed. So the server's handle is closed and another takes its place that
 * does nothing, where a server without one would end as soon as its last connection does; to go on, a copy of the descriptor
 * takes its place. Clients queue in the kernel meanwhile, as long as anybody has the socket open, which the arbiter does. To the app
 * the server listens all the time: `listening` and `address()` stay as they are, and no event is emitted.
 */
import type { Server } from 'node:net';
import { type Copy, DescriptorCopies } from './descriptor-copies.ts';

/** What Node calls of a server's handle. */
interface Handle {
  readonly fd?: number;
  close(callback?: () => void): void;
  ref(): void;
  unref(): void;
  hasRef?(): boolean;
  getsockname?(out: object): number;
  getAsyncId?(): number;
}
type HandledServer = Server & {
  _handle: Handle | null;
  /** Node's second half of listen, which takes the handle that is there. */
  _listen2(address: null, port: number, addressType: number, backlog: number): void;
};

/** Copies of each descriptor for whoever pauses often. */
const COPIES_OFTEN = 64;

export class Pausing {
  readonly #backlog: number;
  readonly #copies = new DescriptorCopies();
  /** Servers that are paused, with what is in place of their handles. */
  #paused = new Map<HandledServer, Handle>();
  /** Being paused; a resumption makes it false. */
  #isWanted = false;
  #wanted: number | undefined;
  #fetching: Promise<void> | undefined;

  constructor(backlog: number) {
    this.#backlog = backlog;
  }

  /** Gets copies before anybody needs one, of descriptors in the order of the servers. Throws FaultError `worker.cannotPause`. */
  prepare(fds: readonly number[]): Promise<void> {
    this.#wanted = COPIES_OFTEN;
    return this.#fetch(fds);
  }

  /** Gets more copies where the next resumption would take the last; while paused. Throws as `prepare` does. */
  async refill(): Promise<void> {
    if (this.#copies.isLow && !this.#copies.isEmpty) await this.#fetch(this.#copies.fds);
  }

  /**
   * Where copies are there already, these servers accept no more as soon as it returns, in the middle of a burst too.
   * Resolves with true once these servers accept no more, with false where they were resumed or closed before. A server is
   * paused only when it can be resumed at once. Throws FaultError `worker.cannotPause`.
   */
  async pause(servers: readonly Server[]): Promise<boolean> {
    this.#isWanted = true;
    const open = listening(servers);
    if (this.#paused.size === 0 && this.#copies.isEmpty && open.length > 0) {
      try {
        await this.#fetch(open.map((server) => server._handle?.fd ?? -1));
      } catch (error) {
        if (!this.#isWanted) return false;
        this.#isWanted = false;
        throw error;
      }
    }
    if (!this.#isWanted) return false;
    if (this.#paused.size > 0) return true;
    for (const server of listening(servers)) {
      const handle = server._handle!;
      const standIn = new StandIn(handle);
      server._handle = standIn;
      this.#paused.set(server, standIn);
      // In earnest: one that is full is a turn away from being settled upon, and a handle that is closed before would be kept.
      delete (handle as Partial<Handle>).close;
      handle.close();
    }
    return true;
  }

  /** Several orders in a row wait for the same copies. */
  #fetch(fds: readonly number[]): Promise<void> {
    this.#fetching ??= this.#copies.fetch(fds, this.#wanted).finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  /** The servers accept again. */
  resume(): void {
    this.#isWanted = false;
    const paused = [...this.#paused];
    this.#paused = new Map();
    if (paused.length === 0) return;
    const copies = this.#copies.take() ?? [];
    for (const [index, [server, standIn]] of paused.entries()) {
      const copy = copies[index];
      if (!copy) continue;
      // The app may have closed it meanwhile.
      if (server._handle === standIn) this.#accept(server, copy);
      else copy.close();
    }
  }

  #accept(server: HandledServer, copy: Copy): void {
    server._handle = copy as unknown as Handle;
    const restore = withoutListening(server);
    server._listen2(null, -1, -1, this.#backlog);
    // After the 'listening' that Node has put into the queue just now.
    process.nextTick(restore);
  }

  /** No more of this: whoever is paused stays so. */
  close(): void {
    this.#isWanted = false;
    this.#paused.clear();
    this.#copies.close();
  }
}

const listening = (servers: readonly Server[]): HandledServer[] =>
  servers.filter((server) => server.listening) as HandledServer[];

/** What a server has in place of a handle while it is paused: it listens, as far as anybody can see. */
class StandIn implements Handle {
  readonly fd = -1;
  /** Only TCP sockets have it. */
  readonly getsockname?: (out: object) => number;
  readonly #asyncId: number;
  #isHeld = true;

  constructor(handle: Handle) {
    this.#asyncId = handle.getAsyncId?.() ?? -1;
    const name = {};
    if (handle.getsockname?.(name) !== 0) return;
    this.getsockname = (out) => {
      Object.assign(out, name);
      return 0;
    };
  }

  close(callback?: () => void): void {
    if (callback) process.nextTick(callback);
  }

  ref(): void {
    this.#isHeld = true;
  }

  unref(): void {
    this.#isHeld = false;
  }

  hasRef(): boolean {
    return this.#isHeld;
  }

  getAsyncId(): number {
    return this.#asyncId;
  }
}

/** The server does not emit 'listening' until what is returned is called: to the app it never stopped. */
function withoutListening(server: Server): () => void {
  const before = Object.getOwnPropertyDescriptor(server, 'emit');
  const emit = server.emit;
  const silent = function emitOthers(this: Server, event: string, ...args: unknown[]) {
    return event !== 'listening' && Reflect.apply(emit, this, [event, ...args]);
  } as typeof emit;
  server.emit = silent;
  return () => {
    if (server.emit !== silent) return;
    if (before) Object.defineProperty(server, 'emit', before);
    else delete (server as Partial<Server>).emit;
  };
}
