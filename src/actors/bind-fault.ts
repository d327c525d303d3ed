/** What a failed bind means to a person. Runs in the arbiter, and in a worker that cannot listen. */
import { parseAddress, type TcpName } from './address.ts';
import { FaultError } from './fault-error.ts';
import { SocketError } from './socket-handle.ts';
import { tcpHolder } from './socket-holder.ts';

/**
 * One line for an error met while binding `address`; `tcp` is what is searched for who has it (null: nothing), by
 * default `address`.
 */
export function bindFault(
  address: string,
  error: unknown,
  tcp: TcpName | null | undefined = tcpIn(address),
): FaultError {
  if (error instanceof FaultError) return error;
  const code = error instanceof SocketError ? error.code : (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'EADDRINUSE':
      return inUseFault(address, tcp ? tcpHolder(tcp) : undefined);
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

/** `holder` has it, as far as anybody tells; `flag` is the setting that asked for it. */
export const inUseFault = (address: string, holder = 'another process', flag = '--bind'): FaultError =>
  new FaultError('bind.inUse', `${address} is in use by ${holder}: choose another ${flag}, or stop it`);

function tcpIn(text: string): TcpName | undefined {
  try {
    const address = parseAddress(text);
    return address.kind === 'tcp' ? address : undefined;
  } catch {
    return undefined;
  }
}
