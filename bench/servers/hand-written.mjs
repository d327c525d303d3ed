/**
 * The least that shares one listening socket among processes: `node hand-written.mjs HOST PORT WORKERS`. The parent
 * binds and never accepts; each child listens on the descriptor it inherits. No supervision, no drain.
 */
import { spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import app from './app.mjs';

const BACKLOG = 2048;
const [host, port, workers] = process.argv.slice(2);
if (host === undefined) http.createServer(app).listen({ fd: 3 }, BACKLOG);
else {
  const handle = net._createServerHandle(host, Number(port), 4);
  for (let slot = 0; slot < Number(workers); slot++)
    spawn(process.execPath, [fileURLToPath(import.meta.url)], {
      stdio: ['ignore', 'inherit', 'inherit', handle.fd],
    });
}
