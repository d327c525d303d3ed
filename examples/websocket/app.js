// WebSockets with the package ws. They outlive the requests of a draining worker, so they are told to come back.
import { createServer } from 'node:http';
import { onDrain } from 'kirin';
import { WebSocketServer } from 'ws';

const server = createServer((_req, res) => {
  res.end('Connect with a WebSocket\n');
});

const sockets = new WebSocketServer({ server });

sockets.on('connection', (socket) => {
  socket.on('message', (message) => {
    socket.send(`You said: ${message}`);
  });
});

onDrain(() => {
  // 1012: the service restarts. A good client connects again, and meets another worker.
  for (const socket of sockets.clients) socket.close(1012, 'restarting');
});

export default server;
