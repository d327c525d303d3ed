// A stream that never ends by itself: it ends when the worker drains, and the browser's EventSource comes back.
import { setInterval } from 'node:timers/promises';
import { draining } from 'kirin';

export default async (req, res) => {
  const gone = new AbortController();
  res.on('close', () => gone.abort());
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  res.write(`data: hello, you asked for ${req.url}\n\n`);
  try {
    for await (const _ of setInterval(1_000, null, { signal: AbortSignal.any([draining, gone.signal]) }))
      res.write(`data: ${new Date().toISOString()}\n\n`);
  } catch {
    // Aborted: the client is gone, or it is time to go.
  }
  res.end();
};
