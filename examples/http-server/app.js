// A server that is not listening yet: for those who need its settings or its events.
import { createServer } from 'node:http';

const server = createServer({ requestTimeout: 30_000 }, (req, res) => {
  res.end(`Hello from a server, over HTTP/${req.httpVersion}\n`);
});

// An app's own keepAliveTimeout is kept, unless --keep-alive says otherwise.
server.keepAliveTimeout = 90_000;

export default server;
