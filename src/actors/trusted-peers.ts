/** Whom a list of addresses and networks trusts, by the connections they make. Runs in web workers, where a setting has such a list. */
import { BlockList, isIP, type Socket } from 'node:net';

/** The TCP connection under TLS is a socket of its own. */
type Layered = Socket & { _parent?: Socket | null };

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

/** A client that resets its connection has no address any more; its own end of it still has. */
function isUnix(socket: Layered): boolean {
  const wire = socket._parent ?? socket;
  return !wire.destroyed && wire.localAddress === undefined;
}
