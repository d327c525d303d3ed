#!/usr/bin/env node
/**
 * The command `kirin`: reads the command line, then becomes the arbiter. A user's mistake is one line on standard
 * error and an exit code of the catalogue; a bug is a stack and 70.
 */
// biome-ignore assist/source/organizeImports: signals are taken before anything else is loaded.
import { daemon, signals, start } from './beginning.ts';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startDaemon } from '../actors/daemon.ts';
import { isExhausted } from '../actors/descriptors.ts';
import type { Development } from '../actors/development/development.ts';
import { FaultError } from '../actors/fault-error.ts';
import { type Identity, identityOf } from '../actors/identity.ts';
import { sayAtTheEnd } from '../actors/log-sink.ts';
import { becomeMaster } from '../actors/own-process.ts';
import { headStart } from '../actors/head-start.ts';
import { Redactor } from '../actors/redaction.ts';
import { EXIT, exitCodeOf } from '../machines/faults.ts';
import type { Settings, SettingsSource } from '../settings.ts';
import { earlyStart } from '../stages/early.ts';
import { parseCommandLine } from './options.ts';
import { sourceOf } from './source.ts';

/** Put in by the build. */
declare const KIRIN_VERSION: string | undefined;

function version(): string {
  if (typeof KIRIN_VERSION === 'string') return KIRIN_VERSION;
  const about = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(about) as { version: string }).version;
}

/** Beside this file in the package; among the sources when they are run directly. */
function entryFile(name: string): string {
  const isSource = import.meta.url.endsWith('.ts');
  // A worker begins with a script, as this process does.
  const place = isSource ? `../actors/entry/${name}.ts` : `./${name}${name === 'worker' ? '.cjs' : '.js'}`;
  return fileURLToPath(new URL(place, import.meta.url));
}

/** Before anything can go wrong with what must not be told. */
const redactor = new Redactor();
redactor.learn(0, process.env, { all: false });

async function main(argv: string[]): Promise<number> {
  if (argv[0] === 'inspect')
    return await (await import('./inspect.ts')).inspectRecording(argv.slice(1), signals.stopped);
  const predecessor = await predecessorHere();
  const parsed = await parseCommandLine(argv, version(), process.env['KIRIN_CMD_ARGS']);
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    return EXIT.ok;
  }
  const source = sourceOf(parsed.commandLine);
  // A Ctrl-C while a configuration takes its time has nobody else to answer it.
  const settings = await source(signals.stopped, (variables) => redactor.learn(1, variables, { all: true }));
  if (parsed.kind === 'show') {
    process.stdout.write((await import('./settings-report.ts')).printedSettings(settings));
    return EXIT.ok;
  }
  // Once: what a name means stays as it was while the server runs.
  const identity = identityOf(settings);
  if (parsed.kind === 'run' && settings.daemon && !daemon && !predecessor)
    return await detach(argv, settings);
  becomeMaster(settings);
  if (parsed.kind === 'check') return await check(settings, source, identity);
  const workerFile = entryFile('worker');
  // With `--reload` files are watched first: what a worker has loaded and changes at once would be missed.
  if (settings.reload || predecessor) earlyStart()?.dropProcesses();
  const head =
    settings.reload || predecessor
      ? undefined
      : await headStart({
          settings,
          source,
          identity,
          redactor,
          workerFile,
          stopped: signals.stopped,
        });
  const { runArbiter } = await import('../actors/arbiter-process.ts');
  let first = head;
  const run = (current: Settings, development?: Development): Promise<number> => {
    const early = first;
    first = undefined;
    return runArbiter({
      source,
      settings: current,
      signals,
      start,
      predecessor,
      identity,
      redactor,
      workerFile,
      development,
      serving: daemon?.serving,
      head: early,
      dirtyArbiterFile: entryFile('dirty-arbiter'),
      version: version(),
    });
  };
  if (!settings.reload) return await run(settings);
  const { untilMended } = await import('../actors/development/mending.ts');
  return await untilMended({
    settings,
    source: () => source(signals.stopped, (variables) => redactor.learn(1, variables, { all: true })),
    stopped: signals.stopped,
    run,
  });
}

/** The old arbiter, where this is the new one of an upgrade. */
async function predecessorHere() {
  if (process.env['KIRIN_UPGRADE'] === undefined) return undefined;
  const { inheritedFrom } = await import('../actors/upgrade/heritage.ts');
  const heritage = inheritedFrom(process.env);
  if (!heritage) return undefined;
  // Sockets that a service manager gave were for the process that was started first; they are inherited, by their old names.
  if (process.env['LISTEN_PID'] === String(heritage.pid)) process.env['LISTEN_PID'] = String(process.pid);
  const { Predecessor } = await import('../actors/upgrade/predecessor.ts');
  return new Predecessor(heritage);
}

/** What is wrong with the settings was found before, in the foreground. */
async function detach(argv: string[], { errorLogfile }: Settings): Promise<number> {
  if (errorLogfile === '-')
    process.stderr.write('kirin: a daemon without --error-logfile: its log goes nowhere\n');
  return await startDaemon(argv, signals.stopped);
}

/** Says whether it would start. What stands in the way is told as at a start, with the same exit code. */
async function check(
  settings: Settings,
  source: SettingsSource,
  identity: Identity | undefined,
): Promise<number> {
  const { trialOf, tryDirtyApps } = await import('./settings-report.ts');
  const { runArbiter } = await import('../actors/arbiter-process.ts');
  const trial = trialOf(settings);
  try {
    const code = await runArbiter({
      source,
      settings: trial.settings,
      signals,
      start,
      identity,
      redactor,
      isTrial: true,
      workerFile: entryFile('worker'),
      dirtyArbiterFile: entryFile('dirty-arbiter'),
      version: version(),
    });
    if (code !== EXIT.ok || signals.stopped.aborted) return code;
    await tryDirtyApps(settings, identity, signals.stopped);
    if (!signals.stopped.aborted) process.stdout.write('the settings are right, and the app can be served\n');
    return code;
  } finally {
    trial.end();
  }
}

async function run(): Promise<never> {
  try {
    // Whatever still holds the event loop (a configuration's timer, a bind that is waiting) is not waited for.
    process.exit(await main(process.argv.slice(2)));
  } catch (error) {
    if (error instanceof FaultError) {
      sayAtTheEnd(`kirin: ${redactor.text(error.message)}`);
      process.exit(exitCodeOf(error.fault));
    } else if (isExhausted(error)) {
      sayAtTheEnd(`kirin: no file descriptor is left (see ulimit -n): ${(error as Error).message}`);
      process.exit(EXIT.runtime);
    } else {
      sayAtTheEnd(`kirin: this is a bug in Kirin\n${error instanceof Error ? error.stack : String(error)}`);
      process.exit(EXIT.bug);
    }
  }
}

void run();
