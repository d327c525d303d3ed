/**
 * Lets an unchanged script be served: its own `server.listen(3000)` is led to the worker's listeners. Runs in web
 * workers, around the loading of the app.
 *
 * Hooked is every listen on a TCP port or a path; one on a descriptor or a handle is left alone. What becomes of it
 * the receiver decides.
 */
import net, { type Server } from 'node:net';
import { speaksHttp } from './connections.ts';

/** What a server that listens can say. */
export interface Listening {
  address(): ReturnType<Server['address']>;
}

/** What a script asked for. */
export interface AskedListen {
  server: Server;
  /** Undefined where it asked for a path. */
  port: number | undefined;
  host: string | undefined;
  /** As shown to people. */
  label: string;
  /** Node's own listen, as it was asked for; may be called again when it failed. */
  listen(): void;
}

/**
 * `take`: the receiver sees to it, and to 'listening'; `pretend`: it looks as if it listened; `pass`: Node's own
 * listen goes on.
 */
export type ListenFate = 'take' | 'pretend' | 'pass';

/** The server speaks HTTP of any version. Only HTTP/2 servers can update their settings. */
export const servesHttp = (server: Server): boolean =>
  speaksHttp(server) || typeof (server as { updateSettings?: unknown }).updateSettings === 'function';

/** Asks `receive` about every listen from now on. Returns a function that ends it. */
export function hookListen(receive: (asked: AskedListen) => ListenFate): () => void {
  const native = net.Server.prototype.listen;
  const hooked = function listen(this: Server, ...args: unknown[]) {
    const wanted = this.listening ? undefined : askedBy(this, args);
    const asked = wanted && { ...wanted, listen: () => void Reflect.apply(native, this, bare(args)) };
    if (asked === undefined) return Reflect.apply(native, this, args);
    const callback = args.at(-1);
    const options = args[0] as { signal?: AbortSignal } | undefined;
    const fate = receive(asked);
    if (fate === 'pass') return Reflect.apply(native, this, args);
    // 'listening' is emitted in a later turn, so the callback still hears it.
    if (typeof callback === 'function') this.once('listening', callback as () => void);
    if (options?.signal instanceof AbortSignal)
      options.signal.addEventListener('abort', () => void this.close(), { once: true });
    if (fate === 'pretend') process.nextTick(() => this.emit('listening'));
    return this;
  } as typeof native;
  net.Server.prototype.listen = hooked;
  return () => {
    if (net.Server.prototype.listen === hooked) net.Server.prototype.listen = native;
  };
}

/** The server looks as if it listened where `model` does, though nothing comes to it. Returns how to undo that. */
export function pretendListening(server: Server, model: Listening): () => void {
  let listening = true;
  Object.defineProperty(server, 'listening', { configurable: true, get: () => listening });
  const address = () => model.address();
  server.address = address;
  const ownClose = Object.getOwnPropertyDescriptor(server, 'close');
  const close = server.close;
  const pretendedClose: typeof close = (callback) => {
    listening = false;
    return Reflect.apply(close, server, callback ? [() => callback()] : []);
  };
  server.close = pretendedClose;
  return () => {
    const pretended = server as Partial<Record<'listening' | 'address' | 'close', unknown>>;
    delete pretended.listening;
    if (server.address === address) delete pretended.address;
    if (server.close !== pretendedClose) return;
    if (ownClose) Object.defineProperty(server, 'close', ownClose);
    else delete pretended.close;
  };
}

/** The arguments of a listen without its callback and its signal, which have been seen to. */
function bare(args: unknown[]): unknown[] {
  const [first, ...rest] = typeof args.at(-1) === 'function' ? args.slice(0, -1) : args;
  const isOptions = typeof first === 'object' && first !== null;
  return [isOptions ? { ...first, signal: undefined } : first, ...rest];
}

/** What a call of listen asks for, by Node's rules; undefined for what is none of our business. */
function askedBy(server: Server, args: unknown[]): Omit<AskedListen, 'listen'> | undefined {
  const [first, second] = args;
  const options: Record<string, unknown> =
    typeof first === 'object' && first !== null
      ? (first as Record<string, unknown>)
      : isPath(first)
        ? { path: first }
        : { port: typeof first === 'function' ? undefined : first, host: second };
  if (options['fd'] !== undefined || options['handle'] !== undefined || options['_handle'] !== undefined)
    return;
  if (typeof options['path'] === 'string' && options['port'] === undefined)
    return { server, port: undefined, host: undefined, label: options['path'] };
  if (args.length > 0 && !('port' in options)) return;
  const port = Number(options['port'] ?? 0);
  // An invalid one gets Node's own error.
  if (!Number.isInteger(port) || port < 0 || port > 65_535 || options['port'] === '') return;
  const host = typeof options['host'] === 'string' ? options['host'] : undefined;
  return { server, port, host, label: host === undefined ? String(port) : `${host}:${port}` };
}

const isPath = (value: unknown): boolean => typeof value === 'string' && !(Number(value) >= 0);
