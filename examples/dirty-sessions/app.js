// Sessions that all workers share and that survive a reload, in the stash:
//
//   kirin -w 4 --dirty-workers 1 --dirty-app ./sessions.js:Sessions --chdir examples/dirty-sessions app.js
import { randomBytes } from 'node:crypto';
import { dirty, stash } from 'kirin';

const TTL_MS = 30 * 60_000;

export default async function app(req, res) {
  try {
    const { pathname } = new URL(req.url, 'http://localhost');
    if (pathname === '/report') return json(res, await dirty.execute('./sessions.js:Sessions', 'report'));
    const id = idOf(req) ?? randomBytes(18).toString('base64url');
    if (pathname === '/leave') {
      await stash.delete('sessions', id);
      res.setHeader('Set-Cookie', 'session=; Path=/; Max-Age=0');
      return json(res, { left: true });
    }
    // Two tabs at once, in two workers: neither visit is lost.
    const visit = (session = { since: new Date().toISOString(), visits: 0 }) => ({
      ...session,
      visits: session.visits + 1,
    });
    const session = await stash.update('sessions', id, visit, { ttlMs: TTL_MS });
    res.setHeader('Set-Cookie', `session=${id}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${TTL_MS / 1000}`);
    json(res, session);
  } catch (error) {
    // Full, or no dirty arbiter at the moment: the next request may have more luck.
    res.writeHead(503, { 'Retry-After': '1' }).end(`${error.code}: ${error.message}\n`);
  }
}

/** Only what could be one of ours: a key of the stash has a bound. */
const idOf = (req) => /(?:^|;\s*)session=([\w-]{24})(?:;|$)/.exec(req.headers.cookie ?? '')?.[1];

const json = (res, value) => {
  res.setHeader('Content-Type', 'application/json');
  res.end(`${JSON.stringify(value)}\n`);
};
