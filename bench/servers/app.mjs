/** The app that every server of a benchmark serves. */
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';

const BODY = 'Hello, world!\n';
const HEADERS = { 'content-type': 'text/plain', 'content-length': BODY.length };
/** How long `/pid` keeps its process busy, so that others take the connections that come meanwhile. */
const PID_BUSY_MS = 5;
const SLOW_MS = 1_000;
/** Who answers: a process, or a thread of one. */
const WHO = threadId === 0 ? String(process.pid) : `${process.pid}.${threadId}`;
/** What clients ask who want to know which process they lose when it is killed. */
const WHOSE = { ...HEADERS, 'x-pid': WHO };

export default function app(request, response) {
  if (request.url === '/') {
    response.writeHead(200, HEADERS);
    response.end(BODY);
  } else if (request.url === '/whose') {
    response.writeHead(200, WHOSE);
    response.end(BODY);
  } else if (request.url === '/slow') {
    // Half of the answer is on its way when a reload or a kill comes.
    response.writeHead(200, WHOSE);
    response.write(BODY.slice(0, 5));
    sleep(SLOW_MS).then(() => response.end(BODY.slice(5)));
  } else if (request.url === '/pid') {
    const endMs = performance.now() + PID_BUSY_MS;
    while (performance.now() < endMs);
    response.end(WHO);
  } else {
    response.statusCode = 404;
    response.end();
  }
}
