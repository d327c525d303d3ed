// TypeScript without a build: Node strips the types where it can (22.18 and newer), else jiti does.
import type { IncomingMessage, ServerResponse } from 'node:http';

interface Answer {
  path: string;
  typed: true;
}

export default function app(req: IncomingMessage, res: ServerResponse): void {
  const answer: Answer = { path: req.url ?? '/', typed: true };
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify(answer));
}
