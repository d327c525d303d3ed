/**
 * Whom the processes belong to that run code of the user's. Runs in the arbiter, which stays who it is.
 *
 * A child changes between fork and exec, by libuv: it has no supplementary group any more, then the group, then the user. So
 * nothing of it, neither Node.js nor what its options have it load, ever runs as root. libuv can give it no supplementary groups:
 * with `--initgroups` it starts as root, and what it loads before anything else (`entry/join-groups.cjs`) does all three.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../settings.ts';
import { FaultError } from './fault-error.ts';
import { groupId } from './group-id.ts';
import { userOf } from './user-id.ts';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** The user whose groups it is to have; undefined: none but the one. */
  readonly groupsOf: string | undefined;
}

/** What `spawn` needs for it. */
export interface SpawnAs {
  env: Record<string, string>;
  uid?: number;
  gid?: number;
}

type Wanted = Pick<Settings, 'user' | 'group' | 'initgroups'>;

/** Above this file's chunk in the package; among the sources beside it. */
const JOIN_FILES = ['./join-groups.cjs', '../join-groups.cjs', './entry/join-groups.cjs'];
/** The largest is no id, but stands for "leave it as it is". */
const ID_MAX = 0xffff_fffe;

/** Undefined where nothing is to change. Throws FaultError `settings.invalid` with what is wrong. */
export function identityOf(
  { user, group, initgroups }: Wanted,
  { uid, gid } = ownIds(),
): Identity | undefined {
  if (initgroups && user === undefined)
    throw invalid('--initgroups without a user whose groups are meant: add --user');
  if (user === undefined && group === undefined) return undefined;
  const found = user === undefined ? { uid, gid, name: undefined } : userOf(user);
  if (!found || found.uid > ID_MAX) throw invalid(`--user ${user}: there is no such user`);
  const wanted = group === undefined ? found.gid : groupId(group);
  if (group !== undefined && (wanted === undefined || wanted > ID_MAX))
    throw invalid(`--group ${group}: there is no such group`);
  if (wanted === undefined) throw invalid(`--user ${user} has no entry that tells its group: add --group`);
  if (initgroups && found.name === undefined)
    throw invalid(`--user ${user} has no entry that tells its groups: leave out --initgroups`);
  if (uid !== 0) {
    if (found.uid !== uid)
      throw invalid(`--user ${user}: only root can run workers as another user, and this is user ${uid}`);
    if (wanted !== gid)
      throw invalid(
        `--group ${group ?? wanted}: only root can run workers as another group, and this is group ${gid}`,
      );
    return undefined;
  }
  return { uid: found.uid, gid: wanted, groupsOf: initgroups ? found.name : undefined };
}

const ownIds = (): { uid: number; gid: number } => ({
  uid: process.geteuid?.() ?? 0,
  gid: process.getegid?.() ?? 0,
});

const invalid = (message: string): FaultError => new FaultError('settings.invalid', message);

/** How a process is started that is to be this user's. */
export function spawnAs(identity: Identity | undefined, env: Record<string, string>): SpawnAs {
  if (!identity) return { env };
  const { uid, gid, groupsOf: name } = identity;
  if (name === undefined) return { env, uid, gid };
  const options = env['NODE_OPTIONS'] ?? null;
  const first = `--require "${joinFile().replace(/[\\"]/g, '\\$&')}"`;
  return {
    env: {
      ...env,
      NODE_OPTIONS: options === null ? first : `${first} ${options}`,
      KIRIN_JOIN_GROUPS: JSON.stringify({ uid, gid, name, options }),
    },
  };
}

function joinFile(): string {
  const files = JOIN_FILES.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  return files.find((file) => existsSync(file)) ?? files[0]!;
}
