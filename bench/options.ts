/** The command line of the benchmarks. A mistake is one line on standard error and exit code 2. */
import { parseArgs } from 'node:util';

export const USAGE = `Usage: npm run bench -- serve [--rounds N] [--seconds S] [--json]
       npm run bench -- reload [--reloads N] [--json]
       npm run bench -- start [--rounds N] [--json]
       npm run bench -- control [--rounds N] [--json]
       npm run bench -- dirty [--rounds N] [--json]
       npm run bench -- inspector [--rounds N] [--seconds S] [--json]

serve    requests per second and CPU per request, against node:cluster and others; default 5 rounds of 5 s
reload   failed requests over reloads under load; default 20 reloads
start    time to the first answer, and memory; default 10 rounds
control  commands to the control socket, and kirinc as a whole; default 20 rounds of kirinc
dirty    calls of dirty apps, against fork and, where it is installed, piscina; default 5 rounds
inspector  requests per second without it, with it, and watched; default 9 rounds of 4 s; then 100 workers with much to tell

--json prints JSON. A run of at least the default length in all is written to bench/RESULTS.md.
Exit code: 0 measured; 1 it could not be measured, or Kirin failed a request; 2 wrong arguments.`;

export type Options =
  | { command: 'serve' | 'inspector'; rounds: number; seconds: number; json: boolean }
  | { command: 'reload'; reloads: number; json: boolean }
  | { command: 'start' | 'control' | 'dirty'; rounds: number; json: boolean }
  | { command: 'help' };

export const DEFAULTS = {
  serve: { rounds: 5, seconds: 5 },
  reload: { reloads: 20 },
  start: { rounds: 10 },
  control: { rounds: 20 },
  dirty: { rounds: 5 },
  inspector: { rounds: 9, seconds: 4 },
};

const COUNT_MAX = 1000;

export class UsageError extends Error {}

export function readOptions(argv: string[]): Options {
  const { values, positionals } = parse(argv);
  if (values.help) return { command: 'help' };
  const [command, ...more] = positionals;
  if (command === undefined)
    throw new UsageError('say what to measure: serve, reload, start, control, dirty or inspector');
  if (more.length > 0) throw new UsageError(`one command only: "${command}" and "${more[0]}" were given`);
  const json = values.json ?? false;
  const takes = (...names: string[]) => {
    for (const name of ['rounds', 'seconds', 'reloads'] as const)
      if (values[name] !== undefined && !names.includes(name))
        throw new UsageError(`${command} takes no --${name}`);
  };
  switch (command) {
    case 'serve':
    case 'inspector':
      takes('rounds', 'seconds');
      return {
        command,
        rounds: count('rounds', values.rounds, DEFAULTS[command].rounds),
        seconds: count('seconds', values.seconds, DEFAULTS[command].seconds),
        json,
      };
    case 'reload':
      takes('reloads');
      return { command, reloads: count('reloads', values.reloads, DEFAULTS.reload.reloads), json };
    case 'start':
    case 'control':
    case 'dirty':
      takes('rounds');
      return { command, rounds: count('rounds', values.rounds, DEFAULTS[command].rounds), json };
    default:
      throw new UsageError(
        `"${command}" is unknown; there are serve, reload, start, control, dirty and inspector`,
      );
  }
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        reloads: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split(/[.\n]/, 1)[0]);
  }
}

function count(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > COUNT_MAX)
    throw new UsageError(`--${name} takes a number from 1 to ${COUNT_MAX}, not "${text}"`);
  return value;
}
