/**
 * What the access log has to know of a request, taken when it has ended: a few strings and numbers, so that what waits to be written
 * keeps no request, no answer and nothing that an app hangs on them from the garbage collector. Runs in web workers.
 */
import type { Ended } from './watch.ts';

export interface Entry {
  remoteAddress: string | undefined;
  method: string | undefined;
  /** As the client sent it. */
  url: string;
  httpVersion: string;
  authorization: string | undefined;
  referer: string | undefined;
  agent: string | undefined;
  status: number;
  /** Of the body. */
  bytes: number;
  ms: number;
  /** Of `performance.now()`. */
  endMs: number;
  isWhole: boolean;
  /** What else a format names: one for each of its `Extra`s, in their order. */
  extras: readonly Field[];
}

export type Field = number | string | readonly string[] | undefined;
/** Takes a header of a request, or of its answer. */
export type Extra = (ended: Ended) => Field;

const NO_EXTRAS: readonly Field[] = [];

export function entryOf(ended: Ended, extras: readonly Extra[]): Entry {
  const { request, remoteAddress, ms, endMs, isWhole } = ended;
  const { method, headers, httpVersion } = request;
  return {
    remoteAddress,
    method,
    url: urlOf(request),
    httpVersion,
    authorization: headers.authorization,
    referer: headers.referer,
    agent: headers['user-agent'],
    status: statusOf(ended),
    bytes: bytesOf(ended),
    ms,
    endMs,
    isWhole,
    extras: extras.length === 0 ? NO_EXTRAS : extras.map((extra) => extra(ended)),
  };
}

/** What nginx tells of a client that left before an answer began; the response would say 200. */
const CLIENT_LEFT = 499;
const statusOf = ({ response, isWhole }: Ended): number =>
  isWhole || response.headersSent ? response.statusCode : CLIENT_LEFT;

/**
 * Bytes of the body. Where nobody said how many there are, or not all were sent, what went over the connection without the head: in chunks
 * their frames are counted as well.
 */
function bytesOf({ request, response, sentBytes, isWhole }: Ended): number {
  if (request.method === 'HEAD' || response.statusCode === 304 || !response.headersSent) return 0;
  const { _contentLength: known, _header: head } = response as typeof response & {
    _contentLength?: number | null;
    _header?: string | null;
  };
  const said = typeof known === 'number' ? known : Number(response.getHeader('content-length') ?? Number.NaN);
  const sent = Math.max(0, sentBytes - (head?.length ?? 0));
  return Number.isNaN(said) ? sent : isWhole ? said : Math.min(said, sent);
}

/** As the client sent it: whoever mounts an app below a path takes that off, and keeps the whole under this name. */
function urlOf(request: Ended['request'] & { originalUrl?: unknown }): string {
  const { originalUrl } = request;
  return typeof originalUrl === 'string' ? originalUrl : (request.url ?? '');
}
