/** `kirin inspect FILE`: a recording of the inspector, shown in its page. Runs until Ctrl-C. */
import yargs from 'yargs';
import { FaultError } from '../actors/fault-error.ts';
import { RecordedStage } from '../actors/inspect/door/recorded-stage.ts';
import { lookThrough } from '../actors/inspect/door/recording-file.ts';
import { STAND_ALONE_ADDRESS, serveStandAlone } from '../actors/inspect/door/stand-alone.ts';
import { EXIT } from '../machines/faults.ts';

/** `signal`: ends it. Rejects with a FaultError for what a user did wrong. */
export async function inspectRecording(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const parser = yargs([])
    .scriptName('kirin inspect')
    .usage('Usage: $0 [options] FILE\n\nShows a recording (--inspector-record, or exported from the page).')
    .detectLocale(false)
    .exitProcess(false)
    .help(false)
    .version(false)
    .parserConfiguration({
      'parse-positional-numbers': false,
      'parse-numbers': false,
      'boolean-negation': false,
    })
    .option('listen', {
      describe: 'Serve the page at PORT or HOST:PORT of a loopback address',
      defaultDescription: `${STAND_ALONE_ADDRESS}, or any free port`,
      requiresArg: true,
      type: 'string',
    })
    .option('help', { alias: 'h', type: 'boolean', describe: 'Show this' })
    .strictOptions()
    .fail((message, error) => {
      throw message ? usage(message) : error;
    });
  const args = await parser.parse([...argv]);
  if (args['help']) {
    process.stdout.write(`${await parser.getHelp()}\n`);
    return EXIT.ok;
  }
  const [file, ...more] = args._.map(String);
  if (file === undefined) throw usage('which recording? FILE is missing; an app of this name is ./inspect');
  if (more.length > 0) throw usage(`one recording only: "${file}" and "${more[0]}" were given`);
  const facts = await lookThrough(file);
  await serveStandAlone({
    stage: new RecordedStage(facts),
    where: args['listen'] as string | undefined,
    controls: false,
    signal,
    say: (line) => process.stdout.write(`${facts.records} records: ${line}\n`),
  });
  return EXIT.ok;
}

const usage = (message: string) =>
  new FaultError('settings.invalid', `${message} (see kirin inspect --help)`);
