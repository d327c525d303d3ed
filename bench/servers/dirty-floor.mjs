// What 1 MiB there and back costs two processes that do nothing else: one copy into shared memory and one out of it each way, and
// a byte through a socket that says so. SOCKET FILE-THERE FILE-BACK BYTES.
import { openSync, readSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { keepFreedMemory } from '../../src/actors/dirty/keep-memory.ts';

const [path, there, back, bytes] = process.argv.slice(2);
const from = openSync(there, 'r');
const to = openSync(back, 'r+');
keepFreedMemory();
const socket = connect(path);
socket.on('data', () => {
  const payload = Buffer.allocUnsafeSlow(Number(bytes));
  readSync(from, payload, 0, payload.length, 0);
  writeSync(to, payload, 0, payload.length, 0);
  socket.write('x');
});
socket.on('close', () => process.exit());
