/** The app that every server of a benchmark serves. */
import { setTimeout as sleep } from 'node:timers/promises';

const BODY = 'Hello, world!\n';
const HEADERS = { 'content-type': 'text/plain', 'content-length': BODY.length };
/** How long `/pid` keeps its process busy, so that others take the connections that come meanwhile. */
const PID_BUSY_MS = 5;
const SLOW_MS = 1_000;

export default function app(request, response) {
  if (request.url === '/') {
    response.writeHead(200, HEADERS);
    response.end(BODY);
  } else if (request.url === '/slow') {
    // Half of the answer is on its way when a reload comes.
    response.writeHead(200, HEADERS);
    response.write(BODY.slice(0, 5));
    sleep(SLOW_MS).then(() => response.end(BODY.slice(5)));
  } else if (request.url === '/pid') {
    const endMs = performance.now() + PID_BUSY_MS;
    while (performance.now() < endMs);
    response.end(String(process.pid));
  } else {
    response.statusCode = 404;
    response.end();
  }
}
