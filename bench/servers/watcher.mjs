/** Watches a server as the inspector's page does, and counts. */
import { WebSocket } from 'ws';

const counted = { told: 0, lost: 0, lostByProcesses: 0, delaysMs: [] };
const AGAIN_MS = 50;
const LIMIT_MS = 30_000;
const startedMs = performance.now();
let arbiter = 0;
let socket;

function heard(data) {
  const message = JSON.parse(String(data));
  if (message.type === 'hello') {
    arbiter = message.pid;
    process.send('ready');
  } else if (message.type === 'lost') counted.lost += message.records;
  else if (message.type === 'records') {
    counted.told += message.records.length;
    for (const one of message.records)
      if (one.t === 'lost') counted.lostByProcesses += one.records;
      else if (one.t === 'beat' && one.pid === arbiter) counted.delaysMs.push(one.loopDelayMs);
  }
}

/** The inspector opens a moment after the server serves. */
function open() {
  socket = new WebSocket(process.argv[2]);
  socket.on('message', heard);
  socket.on('open', () => socket.on('close', () => process.exit(1)));
  socket.on('error', (error) => {
    if (arbiter !== 0 || performance.now() - startedMs > LIMIT_MS) throw error;
    setTimeout(open, AGAIN_MS);
  });
}

open();
process.on('message', (order) => {
  if (order === 'count') process.send(counted);
  else if (order === 'pause') socket.pause();
  else socket.resume();
});
process.on('disconnect', () => process.exit(0));
