/**
 * node:cluster as its documentation has it, round robin: `node cluster.mjs HOST PORT WORKERS`. SIGHUP reloads as
 * most guides do: a new worker is forked, and when it listens an old one is told to close its server. One that is killed is
 * forked again.
 */
import cluster from 'node:cluster';
import http from 'node:http';
import app from './app.mjs';

const [host, port, workers] = process.argv.slice(2);
if (cluster.isPrimary) {
  for (let slot = 0; slot < Number(workers); slot++) cluster.fork();
  cluster.on('exit', (_worker, _code, signal) => signal === 'SIGKILL' && cluster.fork());
  process.on('SIGHUP', () => {
    for (const old of Object.values(cluster.workers).filter((worker) => !worker.retired)) {
      old.retired = true;
      cluster.fork().once('listening', () => old.process.kill('SIGTERM'));
    }
  });
} else {
  const server = http.createServer(app).listen(Number(port), host);
  process.on('SIGTERM', () => server.close(() => process.exit()));
}
