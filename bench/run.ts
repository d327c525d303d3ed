/** `npm run bench -- COMMAND`: see USAGE. */
import { balance, balanceLimitMs } from './balance.ts';
import { control, controlLimitMs } from './control.ts';
import { dirty, dirtyLimitMs } from './dirty.ts';
import { endWithUs, limitRun } from './fleet.ts';
import { inspector, inspectorLimitMs } from './inspector.ts';
import { kill, killLimitMs } from './kill.ts';
import { many, manyLimitMs } from './many.ts';
import { observe, observeLimitMs } from './observe.ts';
import { type Options, readOptions, USAGE, UsageError } from './options.ts';
import { buildDoubt, buildFault } from './peers.ts';
import { reload, reloadLimitMs } from './reload.ts';
import { progress } from './report.ts';
import { serve, serveLimitMs } from './serve.ts';
import { start, startLimitMs } from './start.ts';

async function main(options: Options): Promise<number> {
  if (options.command === 'help') {
    console.log(USAGE);
    return 0;
  }
  // Dirty calls are measured from the sources.
  const fault = options.command === 'dirty' ? undefined : buildFault();
  if (fault) throw new Error(fault);
  const doubt = options.command === 'dirty' ? undefined : buildDoubt();
  if (doubt) progress(`bench: ${doubt}`);
  endWithUs();
  switch (options.command) {
    case 'serve':
      limitRun(serveLimitMs(options));
      return await serve(options);
    case 'reload':
      limitRun(reloadLimitMs(options.reloads));
      return await reload(options.reloads, options.json);
    case 'start':
      limitRun(startLimitMs(options.rounds));
      return await start(options.rounds, options.json, options.node);
    case 'kill':
      limitRun(killLimitMs(options.kills));
      return await kill(options.kills, options.json);
    case 'many':
      limitRun(manyLimitMs(options.idle, options.counts));
      return await many(options.idle, options.counts, options.json);
    case 'balance':
      limitRun(balanceLimitMs(options.seconds));
      return await balance(options.seconds, options.json);
    case 'control':
      limitRun(controlLimitMs(options.rounds));
      return await control(options.rounds, options.json);
    case 'inspector':
      limitRun(inspectorLimitMs(options.rounds, options.seconds));
      return await inspector(options.rounds, options.seconds, options.json);
    case 'observe':
      limitRun(observeLimitMs(options.rounds, options.seconds));
      return await observe(options.rounds, options.seconds, options.json);
    case 'dirty':
      limitRun(dirtyLimitMs(options.rounds));
      return await dirty(options.rounds, options.json);
  }
}

try {
  process.exitCode = await main(readOptions(process.argv.slice(2)));
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
// What was started ends with this process, even where a failure left something open.
process.exit();
