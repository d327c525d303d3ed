/**
 * What the access log has to know of a request: a few strings and numbers, so that what waits to be written keeps no request, no answer
 * and nothing that an app hangs on them from the garbage collector. Runs in web workers.
 */
import type { IncomingMessage } from 'node:http';
import type { Ended } from './watch.ts';

export interface Entry {
  readonly remoteAddress: string | undefined;
  readonly method: string | undefined;
  /** As the client sent it. */
  readonly url: string;
  readonly httpVersion: string;
  readonly authorization: string | undefined;
  readonly referer: string | undefined;
  readonly agent: string | undefined;
  // From here on when it has ended.
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

/**
 * Of a request that begins: frameworks give it another prototype and mounts another path, so that at its end each look at it would cost
 * several times as much.
 */
export function entryOf(request: IncomingMessage, remoteAddress: string | undefined): Entry {
  const { method, headers, httpVersion, url = '' } = request;
  return {
    remoteAddress,
    method,
    url,
    httpVersion,
    authorization: headers.authorization,
    referer: headers.referer,
    agent: headers['user-agent'],
    status: 0,
    bytes: 0,
    ms: Number.NaN,
    endMs: Number.NaN,
    isWhole: false,
    extras: NO_EXTRAS,
  };
}

/** It has ended. */
export function complete(entry: Entry, ended: Ended, extras: readonly Extra[]): void {
  entry.status = statusOf(ended);
  entry.bytes = bytesOf(entry, ended);
  entry.ms = ended.ms;
  entry.endMs = ended.endMs;
  entry.isWhole = ended.isWhole;
  if (extras.length > 0) entry.extras = extras.map((extra) => extra(ended));
}

/** What nginx tells of a client that left before an answer began; the response would say 200. */
const CLIENT_LEFT = 499;
const statusOf = ({ response, isWhole }: Ended): number =>
  isWhole || response.headersSent ? response.statusCode : CLIENT_LEFT;

/**
 * Bytes of the body. Where nobody said how many there are, or not all were sent, what went over the connection without the head: in chunks
 * their frames are counted as well.
 */
function bytesOf({ method }: Entry, { response, sentBytes, isWhole }: Ended): number {
  if (method === 'HEAD' || response.statusCode === 304 || !response.headersSent) return 0;
  const { _contentLength: known, _header: head } = response as typeof response & {
    _contentLength?: number | null;
    _header?: string | null;
  };
  const said = typeof known === 'number' ? known : Number(response.getHeader('content-length') ?? Number.NaN);
  const sent = Math.max(0, sentBytes - (head?.length ?? 0));
  return Number.isNaN(said) ? sent : isWhole ? said : Math.min(said, sent);
}
