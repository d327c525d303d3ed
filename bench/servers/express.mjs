/** What a small real app does: Express, a hello, and some rows as JSON. `/pid` is that of `app.mjs`. */
import express from 'express';
import plain from './app.mjs';

/** About 1 KiB as JSON. */
const ROWS = Array.from({ length: 20 }, (_, at) => ({
  id: 1000 + at,
  name: `row number ${at + 10}`,
  price: 9.25 + at,
}));

const app = express();
app.get('/', (_request, response) => {
  response.json({ hello: 'world', rows: ROWS });
});
app.get('/pid', plain);

export default app;
