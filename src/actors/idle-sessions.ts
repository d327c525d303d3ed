/**
 * Ends connections of HTTP/2 on which nothing was asked for the keep-alive time: Node.js keeps them for ever. Runs in web workers, for
 * servers that Kirin has made.
 */
import type { Server } from 'node:net';

interface Session {
  close(): void;
  on(event: 'stream', listener: (stream: { once(event: 'close', listener: () => void): void }) => void): void;
  on(event: 'timeout', listener: () => void): void;
  setTimeout(ms: number): void;
}

/** `idleMs` is asked for each new connection. */
export function endIdleSessions(server: Server, idleMs: () => number): void {
  server.on('session', (session: Session) => {
    let streams = 0;
    session.on('stream', (stream) => {
      streams++;
      stream.once('close', () => streams--);
    });
    // Whenever nothing came or went for so long.
    session.on('timeout', () => {
      if (streams === 0) session.close();
    });
    session.setTimeout(idleMs());
  });
}
