/** The command line of `kirinc`. */
import { parseArgs } from 'node:util';

export interface Invocation {
  socket: string;
  commands: readonly string[];
  json: boolean;
}

export type Parsed =
  | ({ kind: 'run' } & Invocation)
  /** Text for standard output, without its last line's end; then exit 0. */
  | { kind: 'print'; text: string }
  /** A mistake, in one line; then exit 2. */
  | { kind: 'mistake'; text: string };

const OPTIONS = {
  socket: { type: 'string', short: 's' },
  command: { type: 'string', short: 'c', multiple: true },
  json: { type: 'boolean', short: 'j' },
  version: { type: 'boolean', short: 'v' },
  help: { type: 'boolean', short: 'h' },
} as const;

const SOCKET = 'kirin.ctl';
/** The one command that is so seldom anything else that it needs no -c. */
const INSPECT = 'inspect';
const CONTROL = 'control';

const HELP = `Usage: kirinc [-s PATH] [-c COMMAND]... [-j]
       kirinc [-s PATH] inspect [PORT] [--control]

Talks to a running Kirin through its control socket: interactively, with commands
from standard input, one a line, or with those given.

  -s, --socket PATH      The control socket [$KIRIN_CONTROL_SOCKET, or ${SOCKET}]
  -c, --command COMMAND  Run it and leave; may be repeated. The status is that of
                         the first that fails
  -j, --json             Replies as JSON, each on one line
  -v, --version          Show the version
  -h, --help             Show this

\`inspect\` serves the live inspector's page on this machine, until Ctrl-C; with
--control its buttons work.

Commands may be abbreviated: \`sh w\` is \`show workers\`. \`help\` lists them.

  kirinc -c 'show workers'
  kirinc -c 'show stats' -j | jq .workers_current
  kirinc -c 'reload --wait'

Exit status: 0, 1 for an error, 2 for a wrong use of kirinc, 130 for Ctrl-C.`;

export async function parseArguments(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  version: string,
): Promise<Parsed> {
  const { values, tokens, positionals } = parseArgs({
    args: [...argv],
    options: OPTIONS,
    strict: false,
    tokens: true,
  });
  const inspects = tokens.find((token) => token.kind === 'positional')?.value === INSPECT;
  for (const token of tokens) {
    if (inspects && (token.kind === 'positional' || (token.kind === 'option' && token.name === CONTROL)))
      continue;
    if (token.kind === 'positional') {
      // A command without -c is what most people try first.
      const words = tokens.flatMap((one) => (one.kind === 'positional' ? [one.value] : []));
      return mistake(`unexpected argument "${token.value}": write kirinc -c '${words.join(' ')}'`);
    }
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(OPTIONS, token.name)
      ? OPTIONS[token.name as keyof typeof OPTIONS]
      : undefined;
    if (!option) return mistake(`unknown option ${token.rawName}${await hint(token.rawName)}`);
    if (option.type === 'boolean' && token.value !== undefined)
      return mistake(`${token.rawName} takes no value`);
    const isMissing = token.value === undefined || (token.value === '' && token.name === 'socket');
    if (option.type === 'string' && isMissing) return mistake(`${token.rawName} needs a value`);
  }
  if (values['help']) return { kind: 'print', text: HELP };
  if (values['version']) return { kind: 'print', text: `kirinc ${version}` };
  return {
    kind: 'run',
    socket: String(values['socket'] ?? (env['KIRIN_CONTROL_SOCKET'] || SOCKET)),
    commands: inspects
      ? [[...positionals, ...(values[CONTROL] ? [`--${CONTROL}`] : [])].map(quoted).join(' ')]
      : ((values['command'] ?? []) as string[]).map(String),
    json: values['json'] === true,
  };
}

/** As one word of a command, whatever is in it. */
const quoted = (word: string): string => (/^[\w:./[\]-]+$/.test(word) ? word : `'${word}'`);

const mistake = (text: string): Parsed => ({ kind: 'mistake', text: `${text} (see kirinc --help)` });

async function hint(rawName: string): Promise<string> {
  if (!rawName.startsWith('--')) return '';
  const { didYouMean } = await import('../../settings/suggest.ts');
  return didYouMean(rawName.slice(2), Object.keys(OPTIONS), '--');
}
