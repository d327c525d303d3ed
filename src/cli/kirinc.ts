#!/usr/bin/env node
/**
 * The command `kirinc`: the shell of the control socket. One command imports next to nothing, since it is typed in
 * a hurry; the interactive parts are loaded when they are used. A user's mistake is one line, a bug is a stack and 70.
 */
import { readFileSync, writeSync } from 'node:fs';
import { type Invocation, parseArguments } from './kirinc/arguments.ts';
import { EXIT } from './kirinc/errors.ts';
import { executeLine } from './kirinc/execute.ts';
import { interruption } from './kirinc/interrupt.ts';
import { createOutput, type Output } from './kirinc/output.ts';
import { Session } from './kirinc/session.ts';

export * from './kirinc/core.ts';

/** Put in by the build. */
declare const KIRIN_VERSION: string | undefined;

const BUG = 70;

function version(): string {
  if (typeof KIRIN_VERSION === 'string') return KIRIN_VERSION;
  const about = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(about) as { version: string }).version;
}

async function main(argv: readonly string[]): Promise<number> {
  const parsed = await parseArguments(argv, process.env, version());
  switch (parsed.kind) {
    case 'print':
      await createOutput(false).print(parsed.text);
      return EXIT.ok;
    case 'mistake':
      process.stderr.write(`kirinc: ${parsed.text}\n`);
      return EXIT.usage;
    case 'run':
      return await run(parsed);
  }
}

async function run({ socket, commands, json }: Invocation): Promise<number> {
  const output = createOutput(json);
  const session = new Session(socket, output.remark);
  if (commands.length > 0) return await runGiven(commands, session, output);
  const { stdin, stdout } = process;
  if (stdin.isTTY && stdout.isTTY) return await (await import('./kirinc/shell.ts')).runShell(session, output);
  return await (await import('./kirinc/pipe.ts')).runPipe(stdin, session, output);
}

/** In order, whatever becomes of each; the first failure counts. */
async function runGiven(commands: readonly string[], session: Session, output: Output): Promise<number> {
  const signal = interruption();
  let status: number = EXIT.ok;
  for (const command of commands) {
    const ended = await executeLine(command, { session, output, signal });
    if (ended === EXIT.interrupted) return ended;
    if (ended === 'quit') break;
    status ||= ended;
  }
  return status;
}

/** Whatever holds the terminal gives it back at the exit; what is written before would vanish with its screen. */
function crash(error: unknown): never {
  const text = `kirinc: this is a bug in Kirin\n${error instanceof Error ? error.stack : String(error)}\n`;
  process.on('exit', () => {
    try {
      writeSync(2, text);
    } catch {
      // Nobody listens.
    }
  });
  process.exit(BUG);
}

process.on('uncaughtException', crash);
// Not awaited here: the parts that are loaded late import this file, which has to be complete by then.
main(process.argv.slice(2)).then((status) => process.exit(status), crash);
