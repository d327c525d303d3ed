// What `npm start` serves: a page that says which worker answered. A plain (req, res) function is an app.
import { worker } from 'kirin';

const { age, slot, generation } = worker ?? { age: 0, slot: 0, generation: 0 };
let answers = 0;

export default function hello(req, res) {
  answers++;
  // A browser would stay on one connection, and so with one worker; this way each reload may meet another.
  res.setHeader('Connection', 'close');
  if (req.url === '/favicon.ico') return res.writeHead(204).end();
  if (!req.headers.accept?.includes('text/html')) {
    res.setHeader('Content-Type', 'text/plain; charset=utf-8');
    return res.end(
      `Hello from worker ${age} in slot ${slot}, pid ${process.pid}, generation ${generation}\n`,
    );
  }
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.end(page());
}

const fact = (name, value) => `<div><dt>${name}</dt><dd>${value}</dd></div>`;

const page = () => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Kirin: worker ${age}</title>
<style>
  :root { color-scheme: light dark; --hue: ${(slot * 137 + 155) % 360}; --line: hsl(var(--hue) 30% 50% / .35) }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.6 system-ui, sans-serif;
         background: radial-gradient(circle at 30% 10%, hsl(var(--hue) 70% 60% / .25), transparent 60%) }
  main { box-sizing: border-box; width: min(36rem, 100%); padding: 2rem }
  h1 { margin: 0; font-size: 2.6rem; line-height: 1.1; letter-spacing: -.02em }
  p { margin: .5rem 0 0; opacity: .75 }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); margin: 2rem 0; border: 1px solid var(--line); border-radius: 1rem }
  dl div { padding: 1rem; text-align: center }
  dt { font-size: .75rem; text-transform: uppercase; letter-spacing: .08em; opacity: .65 }
  dd { margin: 0; font-size: 1.6rem; font-weight: 600; font-variant-numeric: tabular-nums; color: light-dark(hsl(var(--hue) 75% 32%), hsl(var(--hue) 70% 75%)) }
  h1, p { text-wrap: balance }
  code { white-space: nowrap; padding: .1em .4em; border-radius: .4em; background: hsl(var(--hue) 30% 50% / .15) }
</style>
<main>
  <h1>Hello from worker ${age}</h1>
  <p>Kirin keeps it alive, and replaces it without losing a request.</p>
  <dl>
    ${fact('worker', age)}${fact('slot', slot)}${fact('generation', generation)}
    ${fact('pid', process.pid)}${fact('answers', answers)}${fact('Node.js', process.versions.node)}
  </dl>
  <p>Reload the page to meet the other workers. <code>kill ${process.pid}</code> ends this one; another takes its slot.
     <code>kill -HUP ${process.ppid}</code> brings a new generation.</p>
</main>
`;
