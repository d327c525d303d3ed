/** Lists of addresses and networks, as settings write them. Runs in the arbiter. */
import { isIP } from 'node:net';

export const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);

/** The first entry of `allow` that is neither an address nor a network. */
export function badNetwork(allow: readonly string[]): string | undefined {
  return allow.find((entry) => {
    if (entry === '*') return false;
    const [address = '', bits, ...more] = entry.split('/');
    const bitsMax = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!;
    return (
      bitsMax < 0 ||
      more.length > 0 ||
      (bits !== undefined && !(/^\d+$/.test(bits) && Number(bits) <= bitsMax))
    );
  });
}
