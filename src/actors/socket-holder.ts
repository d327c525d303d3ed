/**
 * Who has an address that is in use, as far as /proc tells: the one who reads 'in use' wants to know whom to stop. Runs
 * in the arbiter, and in a worker that cannot listen; only when something is in use already.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { addressesOverlap, canonicalIPv6, type TcpName } from './address.ts';
import { HIDDEN, isSecretName } from './redaction.ts';

/** On a machine with very many processes the search is given up, since it holds whoever asks: after so much work, or time. */
const SEARCH_CPU_MS = 250;
const SEARCH_MS = 5_000;
const COMMAND_LENGTH_MAX = 80;
const LISTENING = '0A';
/** The name that a Unix socket of Kirin's was bound under first, which is the one that /proc knows. */
const DRAFT = /^\.k[\w-]{6}$/;

/** Who has a TCP address: `process 4711 (node server.js)`; undefined where nobody tells. */
export function tcpHolder(wanted: TcpName): string | undefined {
  const inodes = new Set<string>();
  for (const [file, v6] of [
    ['tcp', false],
    ['tcp6', true],
  ] as const)
    for (const [, local = '', , state, , , , , , inode = ''] of rowsOf(file)) {
      const [host = '', port = ''] = local.split(':');
      const name = { host: v6 ? ipv6Of(host) : ipv4Of(host), port: Number.parseInt(port, 16) };
      if (state === LISTENING && addressesOverlap(name, wanted)) inodes.add(inode);
    }
  return holderOf(inodes);
}

/** Who has a Unix socket, by its path. One of Kirin's whose lock is free can only be a worker's that was left behind. */
export function unixHolder(path: string): string | undefined {
  const named = new Set<string>();
  const drafts = new Set<string>();
  for (const [, , , , , , inode = '', at = ''] of rowsOf('unix')) {
    if (at === path) named.add(inode);
    else if (dirname(at) === dirname(path) && DRAFT.test(basename(at))) drafts.add(inode);
  }
  return holderOf(named) ?? holderOf(drafts, isWorker);
}

/** A process, as people know it: its number and its command. */
export function processName(pid: number): string {
  const command = commandOf(pid);
  return command === '' ? `process ${pid}` : `process ${pid} (${command})`;
}

/** Whoever started the others that have it too; only those that `mayBe`. */
function holderOf(inodes: ReadonlySet<string>, mayBe?: (pid: number) => boolean): string | undefined {
  const pids = inodes.size === 0 ? [] : pidsOf(inodes);
  const [pid, ...others] = pids.filter(
    (each) => !pids.includes(parentOf(each) ?? 0) && (mayBe?.(each) ?? true),
  );
  if (pid === undefined) return undefined;
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return `${processName(pid)}${more}${isWorker(pid) ? ', a worker whose arbiter has died' : ''}`;
}

function pidsOf(inodes: ReadonlySet<string>): number[] {
  const links = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  const endMs = performance.now() + SEARCH_MS;
  const before = process.cpuUsage();
  const found: number[] = [];
  for (const pid of namesIn('/proc')) {
    const { user, system } = process.cpuUsage(before);
    if ((user + system) / 1000 > SEARCH_CPU_MS || performance.now() > endMs) break;
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    if (namesIn(`/proc/${pid}/fd`).some((fd) => links.has(linkOf(`/proc/${pid}/fd/${fd}`))))
      found.push(Number(pid));
  }
  return found;
}

/** A worker of Kirin's, whatever it calls itself. */
const isWorker = (pid: number): boolean =>
  textOf(`/proc/${pid}/environ`)
    .split('\0')
    .some((variable) => variable.startsWith('KIRIN_WORKER_AGE='));

const parentOf = (pid: number): number | undefined => {
  const parent = /^PPid:\s*(\d+)$/m.exec(textOf(`/proc/${pid}/status`))?.[1];
  return parent === undefined ? undefined : Number(parent);
};

/** In one line, whatever stands in it, and without what its arguments are told to keep. */
function commandOf(pid: number): string {
  const words = textOf(`/proc/${pid}/cmdline`).replace(/\0+$/, '').split('\0');
  const told = words.map((word, at) => {
    const [, name = '', value] = /^--?([\w-]+)=(.*)$/s.exec(word) ?? [];
    const before = /^--?([\w-]+)$/.exec(words[at - 1] ?? '')?.[1] ?? '';
    // Where the program lies is long, and no news.
    if (at === 0 && word.startsWith('/')) return basename(word);
    if (value !== undefined && isSecret(name)) return `--${name}=${HIDDEN}`;
    return isSecret(before) ? HIDDEN : word.replace(/(:\/\/)[^\s/@]*@/g, `$1${HIDDEN}@`);
  });
  const line = told
    .join(' ')
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return line.length > COMMAND_LENGTH_MAX ? `${line.slice(0, COMMAND_LENGTH_MAX - 3)}...` : line;
}

const isSecret = (option: string): boolean => isSecretName(option.replaceAll('-', '_'));

const rowsOf = (file: string): string[][] =>
  textOf(`/proc/net/${file}`)
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/));

/** The kernel writes each 32 bits in the machine's order, which is little-endian wherever Node runs. */
const bytesOf = (hex: string): number[] =>
  (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    [6, 4, 2, 0].map((at) => Number.parseInt(word.slice(at, at + 2), 16)),
  );

const ipv4Of = (hex: string): string => bytesOf(hex).join('.');

function ipv6Of(hex: string): string {
  const bytes = bytesOf(hex);
  const groups = Array.from({ length: 8 }, (_, at) =>
    ((bytes[2 * at] ?? 0) * 256 + (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  return canonicalIPv6(groups.join(':'));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
