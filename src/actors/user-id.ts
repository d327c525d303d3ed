/** The numbers of a user, which Node.js does not look up. Runs in the arbiter, for processes that are to be that user's. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const ASK_MS = 2_000;

export interface UserFound {
  uid: number;
  /** Its own group, and its name; undefined where a number has no entry. */
  gid: number | undefined;
  name: string | undefined;
}

/** By name or number. Undefined: there is no such user. A number stands for itself. */
export function userOf(wanted: string): UserFound | undefined {
  const found = inFile(wanted) ?? asked(wanted);
  if (found) return found;
  return /^\d+$/.test(wanted) ? { uid: Number(wanted), gid: undefined, name: undefined } : undefined;
}

function inFile(wanted: string): UserFound | undefined {
  try {
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
    return lines.map(entryIn).find((entry) => entry && isIt(entry, wanted));
  } catch {
    return undefined;
  }
}

/** A number is never a name. */
const isIt = ({ uid, name }: UserFound, wanted: string): boolean =>
  /^\d+$/.test(wanted) ? uid === Number(wanted) : name === wanted;

function entryIn(line: string): UserFound | undefined {
  const [, name, uid, gid] = /^([^:]+):[^:]*:(\d+):(\d+):/.exec(line) ?? [];
  return name === undefined ? undefined : { uid: Number(uid), gid: Number(gid), name };
}

/** Users may be kept elsewhere: LDAP, systemd, macOS' directory. */
function asked(wanted: string): UserFound | undefined {
  if (process.platform !== 'darwin') return entryIn(told('getent', ['passwd', wanted]));
  const [, name = wanted] =
    /^(\S+)\s/.exec(told('dscl', ['.', '-search', '/Users', 'UniqueID', wanted])) ?? [];
  const about = told('dscl', ['.', '-read', `/Users/${name}`, 'UniqueID', 'PrimaryGroupID']);
  const [uid, gid] = [/^UniqueID: (\d+)$/m.exec(about)?.[1], /^PrimaryGroupID: (\d+)$/m.exec(about)?.[1]];
  return uid && gid ? { uid: Number(uid), gid: Number(gid), name } : undefined;
}

const told = (command: string, args: readonly string[]): string =>
  spawnSync(command, args, { encoding: 'utf8', timeout: ASK_MS }).stdout ?? '';
