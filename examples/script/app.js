// A script as one would run it with `node app.js`, unchanged: under Kirin its listen() takes Kirin's listeners, and
// its SIGTERM listener runs after the last answer.
import { createServer } from 'node:http';

const server = createServer((_req, res) => {
  res.end('Hello from a script\n');
});

server.listen(3000, () => {
  console.log('listening on', server.address());
});

process.on('SIGTERM', () => {
  server.close(() => {
    console.log('bye');
    process.exit(0);
  });
});
