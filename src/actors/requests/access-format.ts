/**
 * One line for each request, as Gunicorn's access log has it. Runs in web workers; a format is made a function once. The arbiter
 * reads formats too, to refuse what is none.
 */
import { commonTimeAt, isoTimeAt } from './wall-clock.ts';
import type { Ended } from './watch.ts';

const PID = process.pid;

export type Line = (ended: Ended) => string;

/** Gunicorn's default: the combined format of other servers. */
export const DEFAULT_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"';

/** Each names what the atom stands for, as text. */
const ATOMS: Readonly<Record<string, (ended: Ended) => string>> = {
  h: ({ remoteAddress }) => remoteAddress ?? '-',
  l: () => '-',
  u: ({ request }) => userOf(request.headers.authorization),
  t: ({ endMs }) => commonTimeAt(endMs),
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
  p: () => `<${PID}>`,
};
/** What never changes in a worker. */
const CONSTANTS = new Map<Line, string>([
  [ATOMS['l']!, '-'],
  [ATOMS['p']!, `<${PID}>`],
]);
const NAMES = `${Object.keys(ATOMS).join(' ')}, {header}i, {header}o, {variable}e`;

/** Throws an error of one line for a format that names what there is not. */
export function compileFormat(format: string): Line {
  if (format === 'json') return jsonLine;
  if (format === DEFAULT_FORMAT) return defaultLine;
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
  return joined(parts);
}

/** Text before each atom, and after the last; what is the same in every line of a worker is text. */
function joined(parts: readonly (string | Line)[]): Line {
  const texts = [''];
  const atoms: Line[] = [];
  for (const part of parts) {
    const constant = typeof part === 'string' ? part : CONSTANTS.get(part);
    if (constant !== undefined) texts[texts.length - 1] += constant;
    else {
      atoms.push(part as Line);
      texts.push('');
    }
  }
  const last = texts.pop()!;
  return (ended) => {
    let line = '';
    for (let at = 0; at < atoms.length; at++) line += texts[at]! + atoms[at]!(ended);
    return line + last;
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

/** What its format says, in one expression: it is what most servers write for every request. */
const defaultLine: Line = (ended) => {
  const { request, remoteAddress, endMs } = ended;
  const { method, headers, httpVersion } = request;
  const user = userOf(headers.authorization);
  const url = safe(urlOf(request));
  const referer = header(headers.referer);
  const agent = header(headers['user-agent']);
  const said = `"${method} ${url} HTTP/${httpVersion}" ${statusOf(ended)} ${bytesOf(ended) || '-'}`;
  return `${remoteAddress ?? '-'} - ${user} ${commonTimeAt(endMs)} ${said} "${referer}" "${agent}"`;
};

/** One object a line, for programs. */
const jsonLine: Line = (ended) => {
  const { request, ms, endMs, isWhole } = ended;
  const { headers, method, httpVersion } = request;
  const { authorization } = headers;
  const url = urlOf(request);
  const at = url.indexOf('?');
  const path = quoted(at < 0 ? url : url.slice(0, at));
  const query = at < 0 ? '""' : quoted(url.slice(at + 1));
  const remote = quoted(ended.remoteAddress);
  const user = authorization === undefined ? 'null' : quoted(userOf(authorization));
  const who = `{"time":"${isoTimeAt(endMs)}","remote":${remote},"user":${user},"method":${quoted(method)}`;
  const what = `,"path":${path},"query":${query},"protocol":"HTTP/${httpVersion}"`;
  const answer = `,"status":${statusOf(ended)},"bytes":${bytesOf(ended)}`;
  const client = `,"referer":${quoted(headers.referer)},"agent":${quoted(headers['user-agent'])}`;
  return `${who}${what}${answer}${client},"ms":${thousandths(ms)},"complete":${isWhole},"pid":${PID}}`;
};

const NOT_PLAIN = /[^ !#-[\]-~]/;

/** As JSON; what needs no escape, which is nearly all, costs a look. */
const quoted = (value: string | undefined): string =>
  value === undefined ? 'null' : NOT_PLAIN.test(value) ? JSON.stringify(value) : `"${value}"`;

/** A number with up to three places, which the engine would take longer to write. */
function thousandths(value: number): string {
  const all = Math.round(value * 1000);
  const whole = Math.trunc(all / 1000);
  const rest = all - whole * 1000;
  return rest === 0 ? `${whole}` : `${whole}${rest < 10 ? '.00' : rest < 100 ? '.0' : '.'}${rest}`;
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
  if (authorization === undefined) return '-';
  const encoded = /^basic\s+(\S+)/i.exec(authorization)?.[1];
  if (encoded === undefined) return '-';
  const user = Buffer.from(encoded, 'base64').toString('latin1').split(':', 1)[0]!;
  return safe(user).replaceAll(' ', '\\x20') || '-';
}
