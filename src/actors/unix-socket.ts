/**
 * Every Unix socket Kirin makes, made in one way. Runs in the arbiter.
 *
 * libuv unlinks a socket by name when it closes, whoever owns the name by then, and a socket that is bound but
 * does not listen yet looks dead to others. So:
 * 1. an exclusive lock beside the name, held as long as the socket is,
 * 2. bind a name of its own in the same directory, the umask set only around that call,
 * 3. rename it into place, which replaces a stale socket without a moment in between (libuv then unlinks the
 *    first name, which is gone: harmless),
 * 4. at the end remove the name only if device and inode are still the socket's own, and nobody inherits it.
 */
import { chmodSync, lchownSync, lstatSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { UNIX_PATH_BYTES_MAX } from './address.ts';
import { inUseFault } from './bind-fault.ts';
import { FaultError } from './fault-error.ts';
import { groupId } from './group-id.ts';
import { acquireLock, type LockFile } from './lock-file.ts';
import { randomName } from './random-name.ts';
import { bindUnixHandle, openHandle, SocketError, type SocketHandle } from './socket-handle.ts';
import { processName, unixHolder } from './socket-holder.ts';
import { withUmask } from './umask.ts';

export interface UnixSocket {
  readonly path: string;
  readonly fd: number;
  /** For `server.listen(handle)` in this very process. */
  readonly handle: SocketHandle;
  /** Whether the name still leads to this very socket. */
  isOurs(): boolean;
  /** What shows that the name is still this socket's. */
  readonly mark: FileMark;
  /** Whether the name is left at the release: somebody inherits the socket. */
  keepName(isKept: boolean): void;
  /** Closes the socket here, removes its name if that is still ours, and frees the lock. */
  release(): void;
}

/** One that was inherited from a process which may live: its name and its lock are that one's until `succeed`. */
export interface InheritedUnixSocket extends UnixSocket {
  /** The process that had it is gone: takes the lock, or, where it is not wanted any more, removes the name. */
  succeed(): void;
}

/** Which file a name leads to. */
export interface FileMark {
  readonly dev: number;
  readonly ino: number;
}

/** A user and a group by their numbers. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface UnixSocketOptions {
  mode?: number;
  /** By name or number. Default: the process's own. */
  group?: string;
  /** Whose it is to be; the group counts less than `group`. Default: the process's own. */
  owner?: Owner;
  /** The setting that asked for it, for messages. Default `--bind`. */
  flag?: string;
}

/** How long a process that has the name may take to show that it lives. */
const PROBE_MS = 1000;
/** Permissions until the group is as it should be. */
const PRIVATE = 0o600;
/** Of the name a socket is bound under first: `.k` and six signs. */
export const DRAFT_NAME_LENGTH = 8;

/**
 * Binds `path` without listening. `mode` are its permission bits from the first moment under that name; without it the
 * umask decides. Throws FaultError `bind.inUse` when a live process has the name, `bind.denied`, `bind.badAddress`,
 * `bind.failed`.
 */
export async function bindUnixSocket(path: string, options: UnixSocketOptions = {}): Promise<UnixSocket> {
  const { flag = '--bind' } = options;
  const lock = takeLock(path, flag);
  try {
    await refuseIfLive(path, flag);
    return place(path, lock, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function takeLock(path: string, flag: string): LockFile {
  try {
    const taken = acquireLock(path);
    if ('lock' in taken) return taken.lock;
    throw inUseFault(`unix:${path}`, processName(taken.heldBy), flag);
  } catch (error) {
    throw explain(path, error);
  }
}

async function refuseIfLive(path: string, flag: string): Promise<void> {
  let found: Stats;
  try {
    found = lstatSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw explain(path, error);
  }
  if (!found.isSocket())
    throw new FaultError(
      'bind.failed',
      `cannot bind unix:${path}: there is a file of that name that is no socket`,
    );
  if (await answers(path)) throw inUseFault(`unix:${path}`, unixHolder(path), flag);
}

/** Whether anybody listens: only a refused connection, or a vanished name, says that nobody does. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const limit = setTimeout(() => done(true), PROBE_MS);
    const done = (alive: boolean) => {
      clearTimeout(limit);
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => done(true));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function place(path: string, lock: LockFile, { mode, group, owner }: UnixSocketOptions): UnixSocket {
  // Short, since its path may be no longer than the socket's own may be; of chance, since a killed process may have
  // left its own, and in a container the next one has the same number.
  const first = join(dirname(path), `.k${randomName(4)}`);
  if (Buffer.byteLength(first) > UNIX_PATH_BYTES_MAX)
    throw new FaultError('bind.badAddress', `cannot bind unix:${path}: the path is too long`);
  const gid = group === undefined ? owner?.gid : groupId(group);
  if (group !== undefined && gid === undefined)
    throw new FaultError('bind.badAddress', `cannot bind unix:${path}: there is no group "${group}"`);
  let handle: SocketHandle | undefined;
  try {
    handle = withUmask(gid === undefined ? mode : PRIVATE, () => bindUnixHandle(first));
    if (gid !== undefined) giveTo(first, owner?.uid, gid, mode, `unix:${path}`);
    const own = lstatSync(first);
    renameSync(first, path);
    return socketOf(path, handle, own, lock);
  } catch (error) {
    handle?.close();
    throw explain(path, error);
  }
}

/** `lock` is undefined for one that is another's. */
function socketOf(
  path: string,
  handle: SocketHandle,
  { dev, ino }: FileMark,
  lock: LockFile | undefined,
): InheritedUnixSocket {
  const own = { dev, ino };
  let [released, isKept, isTheirs, held] = [false, false, lock === undefined, lock];
  return {
    path,
    handle,
    fd: handle.fd,
    mark: own,
    isOurs: () => isOwn(path, own),
    keepName(kept) {
      isKept = kept;
    },
    release() {
      if (released) return;
      released = true;
      handle.close();
      if (!isKept && !isTheirs) removeOwn(path, own);
      held?.release();
    },
    succeed() {
      isTheirs = false;
      if (released) return removeOwn(path, own);
      try {
        const taken = acquireLock(path);
        if ('lock' in taken) held ??= taken.lock;
      } catch {
        // Its directory is gone: there is no name to guard.
      }
    },
  };
}

/** Takes over a socket that another process has bound, by its open descriptor. Throws SocketError where it is none. */
export const inheritUnixSocket = (path: string, fd: number, mark: FileMark): InheritedUnixSocket =>
  socketOf(path, openHandle(fd).handle, mark, undefined);

function isOwn(path: string, own: FileMark): boolean {
  try {
    const now = lstatSync(path);
    return now.dev === own.dev && now.ino === own.ino;
  } catch {
    return false;
  }
}

function removeOwn(path: string, own: FileMark): void {
  try {
    if (isOwn(path, own)) unlinkSync(path);
  } catch {
    // Somebody removed it, or its directory: there is nothing left to tidy.
  }
}

/** Nobody of another group can have connected before. */
function giveTo(
  file: string,
  uid: number | undefined,
  gid: number,
  mode: number | undefined,
  shown: string,
): void {
  try {
    lchownSync(file, uid ?? -1, gid);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM') throw error;
    unlinkSync(file);
    throw new FaultError(
      'bind.denied',
      `permission denied to give ${shown} to the group ${gid}: only root, or a member of it, can`,
    );
  }
  chmodSync(file, mode ?? 0o777 & ~process.umask());
}

function explain(path: string, error: unknown): FaultError {
  if (error instanceof FaultError) return error;
  const code = error instanceof SocketError ? error.code : (error as NodeJS.ErrnoException).code;
  const directory = dirname(path);
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new FaultError('bind.badAddress', `cannot bind unix:${path}: there is no directory ${directory}`);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new FaultError(
      'bind.denied',
      `permission denied to bind unix:${path}: cannot write to ${directory}`,
    );
  return new FaultError('bind.failed', `cannot bind unix:${path}: ${code ?? String(error)}`);
}
