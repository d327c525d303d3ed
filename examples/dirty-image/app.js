// Pictures drawn by dirty workers, behind Express:
//
//   kirin -w 2 --dirty-workers 2 --dirty-app ./images.js:Images --chdir examples/dirty-image app.js

import express from 'express';
import { dirty } from 'kirin';

const app = express();
const images = dirty.app('./images.js:Images');

app.get('/', (_req, res) => {
  res.type('html').send(`<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<title>Drawn by a dirty worker</title>
<img alt="The Mandelbrot set" src="/picture.png?size=512">
`);
});

app.get('/picture.png', async (req, res) => {
  const { size = 256, x = -0.7, y = 0, zoom = 1 } = req.query;
  const wanted = {
    size: Math.round(within(size, 16, 1024)),
    x: within(x, -2, 2),
    y: within(y, -2, 2),
    zoom: within(zoom, 1, 1e6),
  };
  // Whoever leaves before the picture is drawn leaves the queue as well.
  const gone = new AbortController();
  res.on('close', () => gone.abort());
  try {
    const call = images.with({ timeoutMs: 20_000, signal: gone.signal });
    const { png, drawnBefore } = await call.mandelbrot(wanted);
    res.set('X-Drawn-Before', String(drawnBefore)).type('png').send(png);
  } catch (error) {
    if (error.code === 'DIRTY_CANCELLED') return;
    const busy = error.code === 'DIRTY_OVERLOADED' || error.code === 'DIRTY_TIMEOUT';
    res.status(busy ? 503 : 500).send(`${error.message}\n`);
  }
});

const within = (text, min, max) => Math.min(max, Math.max(min, Number(text) || 0));

export default app;
