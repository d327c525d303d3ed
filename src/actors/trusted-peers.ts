/** Whom a list of addresses and networks trusts, by the connections they make. Runs in web workers, where a setting has such a list. */
import { BlockList, isIP, type Socket } from 'node:net';

/** The connection under TLS is a socket of its own. Node.js names what it has of the system by its kind. */
type Layered = Socket & { _parent?: Socket | null; _handle?: object | null };

/** Entries are addresses, networks such as 10.0.0.0/8, or `*` for everybody. Whoever may open a unix socket is trusted. */
export function trustOf(allow: readonly string[]): (socket: Socket) => boolean {
  if (allow.includes('*')) return () => true;
  const list = new BlockList();
  for (const entry of allow) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (socket) => {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) return isUnix(socket);
    const plain = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
    return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
  };
}

/**
 * No address is not enough: a client that sends a request and resets its connection has none any more when that is read. What the
 * connection is in the system is asked in place of it.
 */
function isUnix(socket: Layered): boolean {
  const { _handle: handle } = (socket._parent ?? socket) as Layered;
  return handle?.constructor.name === 'Pipe';
}
