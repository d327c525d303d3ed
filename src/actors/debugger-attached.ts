/**
 * Whether a debugger is attached to a process: whether its port has a connection. Asked of the system, since a process that is paused
 * in a debugger answers nobody. Runs in the arbiter, when a process with a debugger's port is silent for too long.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';

const LSOF_MS = 5000;
const ESTABLISHED = '01';

export const isDebuggerAttached = (pid: number, port: number): Promise<boolean> =>
  process.platform === 'linux' ? byProc(pid, port) : byLsof(pid, port);

async function byProc(pid: number, port: number): Promise<boolean> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readText(`/proc/${pid}/net/${name}`)));
  const inodes = new Set(tables.flatMap((table) => connectionsOf(table, port)));
  if (inodes.size === 0) return false;
  const directory = `/proc/${pid}/fd`;
  const fds = await readdir(directory).catch((): string[] => []);
  const targets = await Promise.all(fds.map((fd) => readlink(`${directory}/${fd}`).catch(() => '')));
  return targets.some((target) => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? ''));
}

/** The inodes of established connections to a local port. The columns are: number, local, remote, state, ... inode. */
function connectionsOf(table: string, port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').flatMap((row) => {
    const columns = row.trim().split(/\s+/);
    return columns[1]?.endsWith(local) && columns[3] === ESTABLISHED ? [columns[9] ?? ''] : [];
  });
}

const readText = (path: string): Promise<string> => readFile(path, 'latin1').catch(() => '');

/** Where there is no /proc. It ends with 1 where there is nothing to list. */
export const byLsof = (pid: number, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const args = ['-nP', '-a', '-p', String(pid), `-iTCP:${port}`, '-sTCP:ESTABLISHED', '-t'];
    execFile('lsof', args, { timeout: LSOF_MS }, (_error, text) => resolve(text.trim() !== ''));
  });
