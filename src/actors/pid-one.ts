/**
 * Being process 1 of a container, which has a duty that Node.js does not see to: whoever loses their parent becomes its child, and
 * is to be reaped by it. Runs in the arbiter. Kirin reaps its own children; those of others stay zombies until the container ends.
 */
import { readdirSync, readFileSync } from 'node:fs';

export const isPidOne = (pid = process.pid): boolean => pid === 1;

export const PID_ONE_NOTICE =
  'this is process 1: orphans of other programs are not reaped; let an init start Kirin (tini, docker run --init)';

/** Why a server that is process 1 cannot be upgraded in place: with it the container would end. */
export const PID_ONE_NO_UPGRADE =
  'this is process 1, with which its container ends: start a new container instead';

/** Processes that have ended and whose parent is this one, which has not reaped them. Linux; elsewhere 0. */
export function zombiesOf(pid = process.pid, root = '/proc'): number {
  let names: string[];
  try {
    names = readdirSync(root);
  } catch {
    return 0;
  }
  return names.filter((name) => /^\d+$/.test(name) && isZombieOf(`${root}/${name}/stat`, pid)).length;
}

function isZombieOf(file: string, parent: number): boolean {
  try {
    // The name stands in parentheses and may have any in it.
    const text = readFileSync(file, 'utf8');
    const [state, ppid] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' && Number(ppid) === parent;
  } catch {
    return false;
  }
}
