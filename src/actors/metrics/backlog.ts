/**
 * How many connections wait to be accepted, for each TCP address that is listened on. Runs in the arbiter, with
 * `--enable-backlog-metric`; Linux alone tells it, and of Unix sockets not in a file.
 *
 * Of a socket that listens the kernel shows its queue where it shows bytes to be read of a connection. Those that listen come first
 * in the table, so that a machine with a million connections costs no more.
 */
import { fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { BoundListener } from '../listener-entry.ts';

const TABLES = { tcp: '/proc/net/tcp', tcp6: '/proc/net/tcp6' } as const;
/** The state TCP_LISTEN, as the table has it. */
const LISTENS = '0A';
const READ_BYTES = 64 * 1024;
/** No machine listens on so many ports that its table would be longer. */
const TABLE_BYTES_MAX = 16 * 1024 ** 2;

export interface Backlog {
  address: string;
  waiting: number;
}

type Listening = Pick<BoundListener, 'address' | 'type' | 'fd'>;

/** Never rejects; what cannot be told is left out, as an address on which nobody has listened yet. */
export async function backlogs(
  listeners: readonly Listening[],
  tables: Readonly<Record<'tcp' | 'tcp6', string>> = TABLES,
): Promise<Backlog[]> {
  const wanted = listeners.flatMap(({ address, type, fd }) => {
    const inode = type === 'unix' ? undefined : inodeOf(fd);
    return type === 'unix' || inode === undefined ? [] : [{ address, type, inode }];
  });
  const found = new Map<string, number>();
  for (const type of ['tcp', 'tcp6'] as const) {
    const inodes = new Set(wanted.filter((one) => one.type === type).map(({ inode }) => inode));
    if (inodes.size > 0) await readQueues(tables[type], inodes, found).catch(() => {});
  }
  return wanted.flatMap(({ address, inode }) => {
    const waiting = found.get(inode);
    return waiting === undefined ? [] : [{ address, waiting }];
  });
}

function inodeOf(fd: number): string | undefined {
  try {
    return String(fstatSync(fd).ino);
  } catch {
    // A reload has closed it meanwhile.
    return undefined;
  }
}

/** Reads until all are found, or the sockets that listen are over. */
async function readQueues(file: string, inodes: Set<string>, found: Map<string, number>): Promise<void> {
  const table = await open(file, 'r');
  try {
    for await (const row of rowsOf(table)) {
      const columns = row.trim().split(/\s+/);
      if (columns[0] === 'sl') continue;
      if (columns[3] !== LISTENS) return;
      const inode = columns[9] ?? '';
      if (!inodes.delete(inode)) continue;
      found.set(inode, Number.parseInt(columns[4]?.split(':')[1] ?? '', 16) || 0);
      if (inodes.size === 0) return;
    }
  } finally {
    await table.close();
  }
}

async function* rowsOf(table: FileHandle): AsyncGenerator<string> {
  const buffer = Buffer.alloc(READ_BYTES);
  let rest = '';
  for (let total = 0; total < TABLE_BYTES_MAX; ) {
    const { bytesRead } = await table.read(buffer, 0, READ_BYTES, null);
    if (bytesRead === 0) return;
    total += bytesRead;
    const rows = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
    rest = rows.pop()!;
    yield* rows;
  }
}
