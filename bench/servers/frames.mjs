// The floor of a control socket: every frame is answered with the same frame, and nothing is looked at but lengths.
import { createServer } from 'node:net';

const body = Buffer.from(process.argv[3] ?? '{}');
const answer = Buffer.alloc(4 + body.length);
answer.writeUInt32BE(body.length);
body.copy(answer, 4);
createServer((socket) => {
  let kept = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    kept = kept.length === 0 ? bytes : Buffer.concat([kept, bytes]);
    socket.cork();
    while (kept.length >= 4 && kept.length >= 4 + kept.readUInt32BE(0)) {
      kept = kept.subarray(4 + kept.readUInt32BE(0));
      socket.write(answer);
    }
    socket.uncork();
  });
  socket.on('error', () => {});
}).listen(process.argv[2]);
