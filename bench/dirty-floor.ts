/** The floor of `bench dirty` for large payloads: two processes that copy them by shared memory, and do nothing else. */
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepFreedMemory } from '../src/actors/dirty/keep-memory.ts';
import { dirtyBundle } from './dirty-bundle.ts';
import { startServer } from './fleet.ts';

const MEMORY = '/dev/shm';

/** Echoes a second; NaN where there is no memory file system. Each buffer that is read into is a new one, as an app's is. */
export async function floorOfEchoes(payload: Buffer, count: number): Promise<number> {
  if (!existsSync(MEMORY)) return Number.NaN;
  const { floor } = await dirtyBundle();
  const directory = mkdtempSync(join(tmpdir(), 'kirin-bench-floor-'));
  const shared = mkdtempSync(join(MEMORY, 'kirin-bench-floor-'));
  const [path, there, back] = [join(directory, 'socket'), join(shared, 'there'), join(shared, 'back')];
  const [to, from] = [openSync(there, 'w+'), openSync(back, 'w+')];
  keepFreedMemory();
  const server = createServer().listen(path);
  await once(server, 'listening');
  const child = startServer([process.execPath, floor, path, there, back, String(payload.length)]);
  try {
    const [socket] = (await once(server, 'connection')) as [Socket];
    const echoes = async (times: number): Promise<void> => {
      for (let done = 0; done < times; done++) {
        writeSync(to, payload, 0, payload.length, 0);
        socket.write('x');
        await once(socket, 'data');
        readSync(from, Buffer.allocUnsafeSlow(payload.length), 0, payload.length, 0);
      }
    };
    await echoes(count);
    const startedMs = performance.now();
    await echoes(count);
    return (count * 1000) / (performance.now() - startedMs);
  } finally {
    await child.kill();
    server.close();
    for (const file of [to, from]) closeSync(file);
    for (const one of [directory, shared]) rmSync(one, { recursive: true, force: true });
  }
}
