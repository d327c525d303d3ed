/** What a failed bind means to a person. Runs in the arbiter. */
import { FaultError } from './fault-error.ts';
import { SocketError } from './socket-handle.ts';

/** One line for an error met while binding `address`. */
export function bindFault(address: string, error: unknown): FaultError {
  if (error instanceof FaultError) return error;
  const code = error instanceof SocketError ? error.code : (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'EADDRINUSE':
      return new FaultError(
        'bind.inUse',
        `${address} is in use by another process: choose another --bind, or stop it`,
      );
    case 'EACCES':
    case 'EPERM':
      return new FaultError(
        'bind.denied',
        `permission denied to bind ${address}: ports below 1024 need CAP_NET_BIND_SERVICE`,
      );
    case 'EADDRNOTAVAIL':
      return new FaultError('bind.badAddress', `cannot bind ${address}: no interface has that address`);
    case 'EAFNOSUPPORT':
      return new FaultError('bind.badAddress', `cannot bind ${address}: this system has no IPv6`);
    default:
      return new FaultError('bind.failed', `cannot bind ${address}: ${code ?? String(error)}`);
  }
}
