/**
 * One line for each request, as Gunicorn's access log has it. Runs in web workers; a format is made a function once. The arbiter
 * reads formats too, to refuse what is none.
 */
import { complete, type Entry, type Extra, type Field } from './entry.ts';
import { commonTimeAt, isoTimeAt } from './wall-clock.ts';
import type { Ended } from './watch.ts';

const PID = process.pid;

type Line = (entry: Entry) => string;

export interface Format {
  /** Whether it tells how long a request took. */
  readonly isTimed: boolean;
  /** When a request has ended: what the format names of it is in the entry then. */
  complete(entry: Entry, ended: Ended): void;
  /** Later. */
  line: Line;
}

/** Gunicorn's default: the combined format of other servers. */
export const DEFAULT_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"';

/** Those of how long it took. */
const TIMED = /%\(([TDML])\)s/;

/** Each names what the atom stands for, as text. */
const ATOMS: Readonly<Record<string, Line>> = {
  h: ({ remoteAddress }) => remoteAddress ?? '-',
  l: () => '-',
  u: ({ authorization }) => userOf(authorization),
  t: ({ endMs }) => commonTimeAt(endMs),
  r: ({ method, url, httpVersion }) => `${method} ${safe(url)} HTTP/${httpVersion}`,
  s: ({ status }) => String(status),
  m: ({ method }) => method ?? '-',
  U: ({ url }) => safe(url.split('?', 1)[0]!),
  q: ({ url }) => safe(queryOf(url)),
  H: ({ httpVersion }) => `HTTP/${httpVersion}`,
  b: ({ bytes }) => String(bytes || '-'),
  B: ({ bytes }) => String(bytes),
  f: ({ referer }) => header(referer),
  a: ({ agent }) => header(agent),
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
export function compileFormat(format: string): Format {
  const extras: Extra[] = [];
  const line = lineOf(format, extras);
  const isTimed = format === 'json' || TIMED.test(format);
  return { line, isTimed, complete: (entry, ended) => complete(entry, ended, extras) };
}

/** Adds to `extras` what else is to be taken. */
function lineOf(format: string, extras: Extra[]): Line {
  if (format === 'json') return jsonLine;
  if (format === DEFAULT_FORMAT) return defaultLine;
  const parts: (string | Line)[] = [];
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
    else parts.push(partOf(name, letter, extras));
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
  return (entry) => {
    let line = '';
    for (let at = 0; at < atoms.length; at++) line += texts[at]! + atoms[at]!(entry);
    return line + last;
  };
}

function partOf(name: string | undefined, letter: string, extras: Extra[]): Line {
  const field = name?.toLowerCase();
  const taken = (extra: Extra): Line => {
    const at = extras.push(extra) - 1;
    return (entry) => header(entry.extras[at]);
  };
  if (field !== undefined && letter === 'i') return taken(({ request }) => request.headers[field]);
  if (field !== undefined && letter === 'o') return taken(({ response }) => response.getHeader(field));
  if (name !== undefined && letter === 'e') return () => safe(process.env[name] ?? '-');
  const atom = name === undefined && Object.hasOwn(ATOMS, letter) ? ATOMS[letter] : undefined;
  if (!atom)
    throw new Error(
      `there is no atom "%(${name === undefined ? '' : `{${name}}`}${letter})s": there are ${NAMES}`,
    );
  return atom;
}

/**
 * What its format says, in one expression: it is what most servers write for every request. What is mostly the same from line to line is
 * kept from the one before: who asks is often one proxy, and many answers are alike.
 */
const defaultLine: Line = (entry) => {
  const { remoteAddress, method, url, authorization, status, bytes, httpVersion, referer, agent } = entry;
  const time = commonTimeAt(entry.endMs);
  if (remoteAddress !== known.remoteAddress || time !== known.time || authorization !== known.authorization) {
    known.head = flat(`${remoteAddress ?? '-'} - ${userOf(authorization)} ${time} "`);
    known.remoteAddress = remoteAddress;
    known.authorization = authorization;
    known.time = time;
  }
  if (status !== known.status || bytes !== known.bytes || httpVersion !== known.httpVersion) {
    known.answer = flat(` HTTP/${httpVersion}" ${status} ${bytes || '-'} `);
    known.status = status;
    known.bytes = bytes;
    known.httpVersion = httpVersion;
  }
  if (referer !== known.referer || agent !== known.agent) {
    known.client = flat(`"${header(referer)}" "${header(agent)}"`);
    known.referer = referer;
    known.agent = agent;
  }
  if (url !== known.url || method !== known.method) {
    known.request = flat(`${method} ${safe(url)}`);
    known.url = url;
    known.method = method;
  }
  return `${known.head}${known.request}${known.answer}${known.client}`;
};

/** Of the line before. */
const known = {
  remoteAddress: undefined as string | undefined,
  authorization: undefined as string | undefined,
  time: '',
  head: '',
  method: undefined as string | undefined,
  url: '',
  request: '',
  status: 0,
  bytes: 0,
  httpVersion: '',
  answer: '',
  referer: undefined as string | undefined,
  agent: undefined as string | undefined,
  client: '"-" "-"',
};

/** In one piece: what was put together is a tree of pieces, which would be walked for each line. */
function flat(text: string): string {
  text.charCodeAt(0);
  return text;
}

/** One object a line, for programs. */
const jsonLine: Line = (entry) => {
  const { authorization, url } = entry;
  const at = url.indexOf('?');
  const path = quoted(at < 0 ? url : url.slice(0, at));
  const query = at < 0 ? '""' : quoted(url.slice(at + 1));
  const remote = quoted(entry.remoteAddress);
  const user = authorization === undefined ? 'null' : quoted(userOf(authorization));
  const time = isoTimeAt(entry.endMs);
  const who = `{"time":"${time}","remote":${remote},"user":${user},"method":${quoted(entry.method)}`;
  const what = `,"path":${path},"query":${query},"protocol":"HTTP/${entry.httpVersion}"`;
  const answer = `,"status":${entry.status},"bytes":${entry.bytes}`;
  const client = `,"referer":${quoted(entry.referer)},"agent":${quoted(entry.agent)}`;
  const end = `,"ms":${thousandths(entry.ms)},"complete":${entry.isWhole},"pid":${PID}}`;
  return `${who}${what}${answer}${client}${end}`;
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

const UNSAFE = /[\p{Cc}"\\]/u;
const UNSAFE_ALL = /[\p{Cc}"\\]/gu;

/** Whatever a client sends, it is one field of one line. */
const safe = (text: string): string =>
  UNSAFE.test(text)
    ? text.replace(UNSAFE_ALL, (one) =>
        one === '"' || one === '\\' ? `\\${one}` : `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`,
      )
    : text;

const header = (value: Field): string => (value === undefined || value === '' ? '-' : safe(String(value)));

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
