/** The app as Watt's node capability serves it: its runtime takes the listening over. */
import http from 'node:http';
import app from './app.mjs';

http.createServer(app).listen(0, '127.0.0.1');
