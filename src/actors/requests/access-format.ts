/**
 * One line for each request, as Gunicorn's access log has it. Runs in web workers; a format is made a function once. The arbiter
 * reads formats too, to refuse what is none.
 */
import type { Ended } from './watch.ts';

export type Line = (ended: Ended) => string;

/** Gunicorn's default: the combined format of other servers. */
export const DEFAULT_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"';

/** Each names what the atom stands for, as text. */
const ATOMS: Readonly<Record<string, (ended: Ended) => string>> = {
  h: ({ remoteAddress }) => remoteAddress ?? '-',
  l: () => '-',
  u: ({ request }) => userOf(request.headers.authorization),
  t: () => timeNow(),
  r: ({ request }) => `${request.method} ${safe(urlOf(request))} HTTP/${request.httpVersion}`,
  s: (ended) => String(statusOf(ended)),
  m: ({ request }) => request.method ?? '-',
  U: ({ request }) => safe(urlOf(request).split('?', 1)[0]!),
  q: ({ request }) => safe(queryOf(urlOf(request))),
  H: ({ request }) => `HTTP/${request.httpVersion}`,
  b: (ended) => String(bytesOf(ended) || '-'),
  B: (ended) => String(bytesOf(ended)),
  f: ({ request }) => header(request.headers.referer),
  a: ({ request }) => header(request.headers['user-agent']),
  T: ({ ms }) => String(Math.trunc(ms / 1000)),
  D: ({ ms }) => String(Math.round(ms * 1000)),
  M: ({ ms }) => String(Math.round(ms)),
  L: ({ ms }) => (ms / 1000).toFixed(6),
  p: () => `<${process.pid}>`,
};
const NAMES = `${Object.keys(ATOMS).join(' ')}, {header}i, {header}o, {variable}e`;

/** Throws an error of one line for a format that names what there is not. */
export function compileFormat(format: string): Line {
  if (format === 'json') return jsonLine;
  const parts: (string | ((ended: Ended) => string))[] = [];
  let at = 0;
  for (const match of format.matchAll(/%(%|\((\{([^}]*)\})?([^)]*)\)s|.?)/gs)) {
    parts.push(format.slice(at, match.index));
    at = match.index + match[0].length;
    const [all, , , name, letter] = match;
    if (all === '%%') parts.push('%');
    else if (letter === undefined)
      throw new Error(
        `"${format.slice(match.index, match.index + 12)}" is no atom: an atom is such as %(h)s, and a percent sign %%`,
      );
    else parts.push(partOf(name, letter));
  }
  parts.push(format.slice(at));
  const kept = parts.filter((part) => part !== '');
  return (ended) => {
    let line = '';
    for (const part of kept) line += typeof part === 'string' ? part : part(ended);
    return line;
  };
}

function partOf(name: string | undefined, letter: string): (ended: Ended) => string {
  const field = name?.toLowerCase();
  if (field !== undefined && letter === 'i') return ({ request }) => header(request.headers[field]);
  if (field !== undefined && letter === 'o') return ({ response }) => header(response.getHeader(field));
  if (name !== undefined && letter === 'e') return () => safe(process.env[name] ?? '-');
  const atom = name === undefined && Object.hasOwn(ATOMS, letter) ? ATOMS[letter] : undefined;
  if (!atom)
    throw new Error(
      `there is no atom "%(${name === undefined ? '' : `{${name}}`}${letter})s": there are ${NAMES}`,
    );
  return atom;
}

/** One object a line, for programs. */
const jsonLine: Line = (ended) => {
  const { request, remoteAddress, ms, isWhole } = ended;
  const url = urlOf(request);
  return JSON.stringify({
    time: new Date().toISOString(),
    remote: remoteAddress ?? null,
    user: request.headers.authorization === undefined ? null : userOf(request.headers.authorization),
    method: request.method,
    path: url.split('?', 1)[0],
    query: queryOf(url),
    protocol: `HTTP/${request.httpVersion}`,
    status: statusOf(ended),
    bytes: bytesOf(ended),
    referer: request.headers.referer ?? null,
    agent: request.headers['user-agent'] ?? null,
    ms: Math.round(ms * 1000) / 1000,
    complete: isWhole,
    pid: process.pid,
  });
};

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

const UNSAFE = /[\p{Cc}"\\]/u;
const UNSAFE_ALL = /[\p{Cc}"\\]/gu;

/** Whatever a client sends, it is one field of one line. */
const safe = (text: string): string =>
  UNSAFE.test(text)
    ? text.replace(UNSAFE_ALL, (one) =>
        one === '"' || one === '\\' ? `\\${one}` : `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`,
      )
    : text;

const header = (value: number | string | readonly string[] | undefined): string =>
  value === undefined || value === '' ? '-' : safe(String(value));

/** As the client sent it: whoever mounts an app below a path takes that off, and keeps the whole under this name. */
function urlOf(request: Ended['request'] & { originalUrl?: unknown }): string {
  const { originalUrl } = request;
  return typeof originalUrl === 'string' ? originalUrl : (request.url ?? '');
}

function queryOf(url: string): string {
  const at = url.indexOf('?');
  return at < 0 ? '' : url.slice(at + 1);
}

function userOf(authorization: string | undefined): string {
  const encoded = /^basic\s+(\S+)/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return '-';
  const user = Buffer.from(encoded, 'base64').toString('latin1').split(':', 1)[0]!;
  return safe(user).replaceAll(' ', '\\x20') || '-';
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
let shownSecond = 0;
let shownTime = '';

/** `[27/Nov/2026:10:00:00 +0000]`, local time; made once a second. */
function timeNow(): string {
  const now = Date.now();
  const second = Math.floor(now / 1000);
  if (second === shownSecond) return shownTime;
  shownSecond = second;
  const date = new Date(now);
  const two = (value: number): string => String(value).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${two(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}`;
  shownTime = `[${day}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}]`;
  return shownTime;
}
