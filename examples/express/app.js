// Express: export the app, and leave listen() to Kirin.
import express from 'express';

const app = express();

app.get('/', (_req, res) => {
  res.send('Hello from Express\n');
});

app.get('/hello/:name', (req, res) => {
  res.json({ hello: req.params.name });
});

export default app;
