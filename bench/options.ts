/** The command line of the benchmarks. A mistake is one line on standard error and exit code 2. */
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export const USAGE = `Usage: npm run bench -- COMMAND [options]

serve    requests per second, latency, CPU and context switches per request, against node:cluster, PM2, Watt and others.
           [--rounds N] [--seconds S] [--workers N,...] [--connections C,...] [--node PATH]
         By default 2, 8 and 32 workers, 50 and 1,000 connections, kept and one for each request, in rounds of 2 s: as many
         rounds as fit into 12 minutes
reload   failed requests over reloads under load; [--reloads N], default 20
kill     failed requests while a worker is killed with -9 every second under load; [--kills N], default 30
start    time to the first answer, and memory; [--rounds N], default 10, [--node PATH]
many     what supervising idle workers costs, and how long stopping many takes;
           [--idle N], default 200 workers, [--counts N,...] stopped, default 100,200,400
balance  the busiest worker's share of the requests, with and without --no-balance; [--seconds S], default 60
control  commands to the control socket, and kirinc as a whole; [--rounds N], default 20 rounds of kirinc
dirty    calls of dirty apps, against fork and, where it is installed, piscina; [--rounds N], default 5
inspector  requests per second without it, with it, and watched; [--rounds N] [--seconds S], default 9 rounds of 4 s; then 100
         workers with much to tell
observe  requests per second and CPU per request without anything, with --metrics, and with the access log, for an empty handler and
           for Express; [--rounds N] [--seconds S], default 7 rounds of 3 s

PM2 and Watt are fetched from npm when they are wanted, into node_modules/.cache/bench. --node PATH has the servers run by another
Node.js. --json prints JSON. A run of at least the default length in all is written to bench/RESULTS.md.
Exit code: 0 measured; 1 it could not be measured, or Kirin failed a request that it should not; 2 wrong arguments.`;

export type Options =
  | {
      command: 'serve';
      rounds: number | undefined;
      seconds: number | undefined;
      workers: number[] | undefined;
      connections: number[] | undefined;
      node: string | undefined;
      json: boolean;
    }
  | { command: 'reload'; reloads: number; json: boolean }
  | { command: 'kill'; kills: number; json: boolean }
  | { command: 'start'; rounds: number; node: string; json: boolean }
  | { command: 'many'; idle: number; counts: number[]; json: boolean }
  | { command: 'balance'; seconds: number; json: boolean }
  | { command: 'control' | 'dirty'; rounds: number; json: boolean }
  | { command: 'inspector' | 'observe'; rounds: number; seconds: number; json: boolean }
  | { command: 'help' };

export const DEFAULTS = {
  reload: { reloads: 20 },
  kill: { kills: 30 },
  start: { rounds: 10 },
  many: { idle: 200, counts: [100, 200, 400] },
  balance: { seconds: 60 },
  control: { rounds: 20 },
  dirty: { rounds: 5 },
  inspector: { rounds: 9, seconds: 4 },
  observe: { rounds: 7, seconds: 3 },
};

/** What each command takes besides --json. */
const TAKES: Record<Exclude<Options['command'], 'help'>, readonly string[]> = {
  serve: ['rounds', 'seconds', 'workers', 'connections', 'node'],
  reload: ['reloads'],
  kill: ['kills'],
  start: ['rounds', 'node'],
  many: ['idle', 'counts'],
  balance: ['seconds'],
  control: ['rounds'],
  dirty: ['rounds'],
  inspector: ['rounds', 'seconds'],
  observe: ['rounds', 'seconds'],
};
const COMMANDS = Object.keys(TAKES) as (keyof typeof TAKES)[];
const LIST = `${COMMANDS.slice(0, -1).join(', ')} or ${COMMANDS.at(-1)}`;

const COUNT_MAX = 1000;
const CONNECTIONS_MAX = 10_000;
const LIST_MAX = 8;

export class UsageError extends Error {}

export function readOptions(argv: string[]): Options {
  const { values, positionals } = parse(argv);
  if (values.help) return { command: 'help' };
  const [word, ...more] = positionals;
  if (word === undefined) throw new UsageError(`say what to measure: ${LIST}`);
  if (more.length > 0) throw new UsageError(`one command only: "${word}" and "${more[0]}" were given`);
  const command = COMMANDS.find((one) => one === word);
  if (!command) throw new UsageError(`"${word}" is unknown; there are ${LIST}`);
  for (const name of Object.keys(values))
    if (name !== 'json' && !TAKES[command].includes(name))
      throw new UsageError(`${command} takes no --${name}`);
  const json = values.json ?? false;
  const rounds = count('rounds', values.rounds);
  switch (command) {
    case 'serve':
      return {
        command,
        rounds,
        seconds: count('seconds', values.seconds),
        workers: counts('workers', values.workers),
        connections: counts('connections', values.connections, CONNECTIONS_MAX),
        node: values.node === undefined ? undefined : program(values.node),
        json,
      };
    case 'reload':
      return { command, reloads: count('reloads', values.reloads) ?? DEFAULTS.reload.reloads, json };
    case 'kill':
      return { command, kills: count('kills', values.kills) ?? DEFAULTS.kill.kills, json };
    case 'start': {
      const node = values.node === undefined ? process.execPath : program(values.node);
      return { command, rounds: rounds ?? DEFAULTS.start.rounds, node, json };
    }
    case 'many':
      return {
        command,
        idle: count('idle', values.idle) ?? DEFAULTS.many.idle,
        counts: counts('counts', values.counts) ?? DEFAULTS.many.counts,
        json,
      };
    case 'balance':
      return { command, seconds: count('seconds', values.seconds) ?? DEFAULTS.balance.seconds, json };
    case 'inspector':
    case 'observe':
      return {
        command,
        rounds: rounds ?? DEFAULTS[command].rounds,
        seconds: count('seconds', values.seconds) ?? DEFAULTS[command].seconds,
        json,
      };
    case 'control':
    case 'dirty':
      return { command, rounds: rounds ?? DEFAULTS[command].rounds, json };
  }
}

function parse(argv: string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        rounds: text,
        seconds: text,
        reloads: text,
        kills: text,
        workers: text,
        connections: text,
        idle: text,
        counts: text,
        node: text,
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split(/[.\n]/, 1)[0]);
  }
}

function count(name: string, text: string | undefined, max = COUNT_MAX): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > max)
    throw new UsageError(`--${name} takes a number from 1 to ${max}, not "${text}"`);
  return value;
}

function counts(name: string, text: string | undefined, max = COUNT_MAX): number[] | undefined {
  const list = text?.split(',').map((one) => count(name, one.trim(), max)!);
  if (list && list.length > LIST_MAX) throw new UsageError(`--${name} takes at most ${LIST_MAX} numbers`);
  return list && [...new Set(list)].sort((a, b) => a - b);
}

/** The absolute path of a program. */
function program(path: string): string {
  const file = resolve(path);
  try {
    accessSync(file, constants.X_OK);
    if (statSync(file).isFile()) return file;
  } catch {
    // Told below.
  }
  throw new UsageError(`--node takes the path of a Node.js that can be run, not "${path}"`);
}
