/**
 * Who may enter the inspector: decided from the head of a request alone. Pure. A page of another origin is turned away by
 * its `Origin`, one whose name was made to point here (DNS rebinding) by its `Host`, and where there is a token everybody who
 * does not have it.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface GateOptions {
  /** Undefined: everybody on this machine may enter. */
  token: string | undefined;
  /** The host it is served on, which may be asked for by this name as well. */
  host: string;
}

/**
 * 200: may enter. 303: has just shown the token in its address, and gets `cookie` in place of it; Lax, since a link in a chat
 * leads here too, and nothing is changed but over a WebSocket, whose origin is checked.
 */
export type Verdict = { status: 200 } | { status: 303; cookie: string } | { status: 401 | 403; why: string };

const LOOPBACK = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/i;

export class Gate {
  readonly #options: GateOptions;
  readonly #key: string | undefined;

  constructor(options: GateOptions) {
    this.#options = options;
    const { token } = options;
    this.#key = token === undefined ? undefined : digest(token).toString('hex');
  }

  /** `port` is the server's own: cookies know no ports, and there may be two inspectors. */
  judge(headers: IncomingHttpHeaders, query: URLSearchParams, port: number): Verdict {
    const { host = '', origin } = headers;
    if (!this.#isOurs(host)) return { status: 403, why: 'this name is not the inspector’s: use 127.0.0.1' };
    if (origin !== undefined && !isSameOrigin(origin, host))
      return { status: 403, why: 'the inspector does not talk to pages of other origins' };
    if (this.#key === undefined) return { status: 200 };
    const name = `kirin-inspector-${port}`;
    const shown = query.get('token');
    if (shown !== null)
      return isEqual(digest(shown).toString('hex'), this.#key)
        ? { status: 303, cookie: `${name}=${this.#key}; HttpOnly; SameSite=Lax; Path=/` }
        : { status: 403, why: 'this token is not the right one' };
    const bearer = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (bearer !== undefined)
      return isEqual(digest(bearer).toString('hex'), this.#key)
        ? { status: 200 }
        : { status: 403, why: 'this token is not the right one' };
    const cookie = cookieIn(headers.cookie ?? '', name);
    return cookie !== undefined && isEqual(cookie, this.#key)
      ? { status: 200 }
      : { status: 401, why: 'a token is needed: open /?token=…' };
  }

  /** With a token a name that was made to point here is of no use: its pages do not have the cookie. */
  #isOurs(host: string): boolean {
    if (this.#key !== undefined) return host !== '';
    return LOOPBACK.test(host) || host.replace(/:\d{1,5}$/, '').toLowerCase() === this.#options.host;
  }
}

/** Also behind a proxy that speaks TLS. */
const isSameOrigin = (origin: string, host: string): boolean =>
  origin.replace(/^https?:\/\//, '').toLowerCase() === host.toLowerCase();

const digest = (text: string): Buffer => createHash('sha256').update(`kirin inspector ${text}`).digest();

/** In a time that says nothing of where they differ. */
const isEqual = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other));

function cookieIn(header: string, name: string): string | undefined {
  for (const part of header.split(';')) {
    const [key, value] = part.trim().split('=');
    if (key === name) return value;
  }
  return undefined;
}
