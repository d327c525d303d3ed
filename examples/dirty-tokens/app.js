// Tokens of a model in a dirty worker, streamed to the browser as server-sent events:
//
//   kirin -w 2 --dirty-workers 1 --dirty-threads 20 --dirty-app ./model.js:Model --chdir examples/dirty-tokens app.js
import { once } from 'node:events';
import { dirty } from 'kirin';

export default async function app(req, res) {
  const { pathname, searchParams } = new URL(req.url, 'http://localhost');
  if (pathname === '/') return res.setHeader('Content-Type', 'text/html; charset=utf-8').end(PAGE);
  if (pathname !== '/tokens') return res.writeHead(404).end();
  // The model stops when the reader goes.
  const gone = new AbortController();
  res.on('close', () => gone.abort());
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  try {
    const prompt = searchParams.get('prompt') ?? '';
    const tokens = dirty.with({ signal: gone.signal }).stream('./model.js:Model', 'tokens', prompt);
    // A reader that is slow slows the model down, instead of filling memory here.
    for await (const token of tokens)
      if (!res.write(`data: ${token}\n\n`)) await once(res, 'drain', { signal: gone.signal });
    res.end('event: done\ndata:\n\n');
  } catch (error) {
    if (!gone.signal.aborted) res.end(`event: failed\ndata: ${error.message}\n\n`);
  }
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Tokens from a dirty worker</title>
<style>
  :root { color-scheme: light dark }
  body { max-width: 36rem; margin: 4rem auto; padding: 0 1rem; font: 18px/1.6 system-ui, sans-serif }
  form { display: flex; gap: .5rem }
  input { flex: 1 } input, button { font: inherit; padding: .3em .6em }
  output { display: block; margin-top: 1.5rem; min-height: 8rem; white-space: pre-wrap }
</style>
<form><input name="prompt" value="A good" aria-label="prompt"><button>Go on</button></form>
<output aria-live="polite"></output>
<script>
  const [form] = document.forms, output = document.querySelector('output');
  let events;
  form.onsubmit = (event) => {
    event.preventDefault();
    events?.close();
    output.textContent = '';
    events = new EventSource('/tokens?' + new URLSearchParams(new FormData(form)));
    events.onmessage = ({ data }) => { output.textContent += /^[.,]/.test(data) ? data : ' ' + data; };
    events.addEventListener('done', () => events.close());
    events.addEventListener('failed', ({ data }) => { output.textContent += '\\n' + data; events.close(); });
  };
</script>
`;
