/** One message of syslog, as RFC 5424 has it, and where messages go. Runs in the arbiter and in web workers; pure text. */
import { isIPv6 } from 'node:net';

/** Their numbers; 12 to 15 have no names that are agreed upon. */
const NUMBERS = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;
export type Facility = keyof typeof NUMBERS;
export const FACILITIES = Object.keys(NUMBERS) as Facility[];

export const SEVERITIES = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7 } as const;
export type Severity = keyof typeof SEVERITIES;

/** Beyond it a message is cut: what every server takes, and what fits a datagram. */
const MESSAGE_BYTES_MAX = 8192;
/** The port of syslog for both. */
const PORT = 514;

export type Target =
  | { kind: 'udp' | 'tcp'; host: string; port: number }
  /** A stream socket: Node.js speaks to no others. */
  | { kind: 'unix'; path: string };

/** Undefined for what is no address. `unix://PATH` and `#stream` are Gunicorn's ways to write it. */
export function targetOf(text: string): Target | undefined {
  const path = /^unix:(?:\/\/)?(\/[^#]+)(?:#stream)?$/.exec(text)?.[1];
  if (path !== undefined) return { kind: 'unix', path };
  const [, kind, bracketed, plain, digits] =
    /^(udp|tcp):\/\/(?:\[([^\]]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? PORT : Number(digits);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined;
  return { kind: kind as 'udp' | 'tcp', host, port };
}

export interface Speaker {
  facility: Facility;
  hostname: string;
  /** APP-NAME. */
  name: string;
  pid: number;
  /** MSGID: which of the logs it is. */
  log: 'error' | 'access';
}

/** A header field is of printable characters without blanks. */
const field = (text: string, lengthMax: number): string =>
  text.replaceAll(/[^\x21-\x7e]/g, '_').slice(0, lengthMax) || '-';

/** What makes messages of one speaker: all that does not change is put together once. */
export function composer({ facility, hostname, name, pid, log }: Speaker) {
  const head = ` ${field(hostname, 255)} ${field(name, 48)} ${pid} ${log} - `;
  const first = NUMBERS[facility] * 8;
  return (severity: Severity, time: string, text: string): Buffer => {
    const message = Buffer.from(`<${first + SEVERITIES[severity]}>1 ${time}${head}${text}`);
    return message.length <= MESSAGE_BYTES_MAX ? message : message.subarray(0, wholeLength(message));
  };
}

/** Not within a character. */
function wholeLength(message: Buffer): number {
  let end = MESSAGE_BYTES_MAX;
  while (end > 0 && (message[end]! & 0xc0) === 0x80) end--;
  return end;
}

const LINE_BREAKING = /[\p{Cc}\u2028\u2029]/gu;

/** On one line: a message cannot end itself and begin another. Such an escape is right within JSON too. */
export const onOneLine = (text: string): string =>
  text.replace(LINE_BREAKING, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
