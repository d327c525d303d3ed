/** One process without anything around it: `node bare.mjs HOST PORT`. */
import http from 'node:http';
import app from './app.mjs';

const [host, port] = process.argv.slice(2);
http.createServer(app).listen(Number(port), host);
