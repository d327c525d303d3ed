#!/usr/bin/env node
/**
 * The command `kirin`: reads the command line, then becomes the arbiter. A user's mistake is one line on standard
 * error and an exit code of the catalogue; a bug is a stack and 70.
 */
import { readFileSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FaultError } from '../actors/fault-error.ts';
import { Redactor } from '../actors/redaction.ts';
import { takeSignals } from '../actors/signals.ts';
import { EXIT, exitCodeOf } from '../machines/faults.ts';

// First of all: without a handler SIGUSR1 opens the debugger, and SIGHUP ends the process.
const signals = takeSignals();

/** Put in by the build. */
declare const KIRIN_VERSION: string | undefined;

function version(): string {
  if (typeof KIRIN_VERSION === 'string') return KIRIN_VERSION;
  const about = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(about) as { version: string }).version;
}

/** Beside this file in the package; among the sources when they are run directly. */
function entryFile(name: string): string {
  const place = import.meta.url.endsWith('.ts') ? `../actors/entry/${name}.ts` : `./${name}.js`;
  return fileURLToPath(new URL(place, import.meta.url));
}

/** Before anything can go wrong with what must not be told. */
const redactor = new Redactor();
redactor.learn(0, process.env, { all: false });

async function main(argv: string[]): Promise<number> {
  if (argv[0] === 'inspect')
    return await (await import('./inspect.ts')).inspectRecording(argv.slice(1), signals.stopped);
  const { parseCommandLine } = await import('./options.ts');
  const parsed = await parseCommandLine(argv, version());
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    return EXIT.ok;
  }
  const { settingsSource } = await import('../settings.ts');
  const source = settingsSource(parsed.commandLine);
  // A Ctrl-C while a configuration takes its time has nobody else to answer it.
  const settings = await source(signals.stopped, (variables) => redactor.learn(1, variables, { all: true }));
  const { headStart } = await import('../actors/head-start.ts');
  const workerFile = entryFile('worker');
  const head = await headStart({ settings, source, redactor, workerFile, stopped: signals.stopped });
  const { runArbiter } = await import('../actors/arbiter-process.ts');
  return await runArbiter({
    source,
    settings,
    signals,
    redactor,
    workerFile,
    head,
    dirtyArbiterFile: entryFile('dirty-arbiter'),
    version: version(),
  });
}

/** Synchronously, since the process is about to end. A reader that is gone is no reason to fail differently. */
function complain(text: string): void {
  try {
    writeSync(2, `${text}\n`);
  } catch {
    // Nobody listens.
  }
}

try {
  // Whatever still holds the event loop (a configuration's timer, a bind that is waiting) is not waited for.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (error instanceof FaultError) {
    complain(`kirin: ${redactor.text(error.message)}`);
    process.exit(exitCodeOf(error.fault));
  } else {
    complain(`kirin: this is a bug in Kirin\n${error instanceof Error ? error.stack : String(error)}`);
    process.exit(EXIT.bug);
  }
}
