/**
 * Lets an unchanged script be served: its own `server.listen(3000)` is led to the worker's listeners. Runs in web
 * workers, around the loading of the app.
 *
 * Hooked is every listen on a TCP port, and that of an HTTP/1 server on a path; one on a descriptor or a handle is
 * left alone. What becomes of it the receiver decides.
 */
import net, { type Server } from 'node:net';
import { speaksHttp } from './connections.ts';

/** What a script asked for. */
export interface AskedListen {
  server: Server;
  /** Undefined where it asked for a path. */
  port: number | undefined;
  /** As shown to people. */
  label: string;
}

/** `take`: the receiver serves it; `pretend`: it looks as if it listened; `pass`: Node's own listen goes on. */
export type ListenFate = 'take' | 'pretend' | 'pass';

/** Asks `receive` about every listen from now on. Returns a function that ends it. */
export function hookListen(receive: (asked: AskedListen) => ListenFate): () => void {
  const native = net.Server.prototype.listen;
  const hooked = function listen(this: Server, ...args: unknown[]) {
    const asked = this.listening ? undefined : askedBy(this, args);
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

/** The server looks as if it listened where `model` does, though nothing ever comes to it. */
export function pretendListening(server: Server, model: Server): void {
  let listening = true;
  Object.defineProperty(server, 'listening', { configurable: true, get: () => listening });
  server.address = () => model.address();
  const close = server.close;
  server.close = (callback) => {
    listening = false;
    return Reflect.apply(close, server, callback ? [() => callback()] : []);
  };
}

/** What a call of listen asks for, by Node's rules; undefined for what is none of our business. */
function askedBy(server: Server, args: unknown[]): AskedListen | undefined {
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
    return speaksHttp(server) ? { server, port: undefined, label: options['path'] } : undefined;
  if (args.length > 0 && !('port' in options)) return;
  const port = Number(options['port'] ?? 0);
  // An invalid one gets Node's own error.
  if (!Number.isInteger(port) || port < 0 || port > 65_535 || options['port'] === '') return;
  const host = typeof options['host'] === 'string' ? options['host'] : undefined;
  return { server, port, label: host === undefined ? String(port) : `${host}:${port}` };
}

const isPath = (value: unknown): boolean => typeof value === 'string' && !(Number(value) >= 0);
