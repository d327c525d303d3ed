/** `npm run bench -- COMMAND`: see USAGE. */
import { endWithUs, limitRun } from './fleet.ts';
import { type Options, readOptions, USAGE, UsageError } from './options.ts';
import { buildDoubt, buildFault } from './peers.ts';
import { progress } from './report.ts';

/**
 * This process holds what it measures and nothing else: it is the caller of dirty apps, and with a large heap each garbage collection
 * that large payloads bring about costs as much as the payloads.
 */
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
    case 'serve': {
      const { serve, serveLimitMs } = await import('./serve.ts');
      limitRun(serveLimitMs(options));
      return await serve(options);
    }
    case 'reload': {
      const { reload, reloadLimitMs } = await import('./reload.ts');
      limitRun(reloadLimitMs(options.reloads));
      return await reload(options.reloads, options.json);
    }
    case 'start': {
      const { start, startLimitMs } = await import('./start.ts');
      limitRun(startLimitMs(options.rounds));
      return await start(options.rounds, options.json, options.node);
    }
    case 'kill': {
      const { kill, killLimitMs } = await import('./kill.ts');
      limitRun(killLimitMs(options.kills));
      return await kill(options.kills, options.json);
    }
    case 'many': {
      const { many, manyLimitMs } = await import('./many.ts');
      limitRun(manyLimitMs(options.idle, options.counts));
      return await many(options.idle, options.counts, options.json);
    }
    case 'balance': {
      const { balance, balanceLimitMs } = await import('./balance.ts');
      limitRun(balanceLimitMs(options.seconds));
      return await balance(options.seconds, options.json);
    }
    case 'control': {
      const { control, controlLimitMs } = await import('./control.ts');
      limitRun(controlLimitMs(options.rounds));
      return await control(options.rounds, options.json);
    }
    case 'inspector': {
      const { inspector, inspectorLimitMs } = await import('./inspector.ts');
      limitRun(inspectorLimitMs(options.rounds, options.seconds));
      return await inspector(options.rounds, options.seconds, options.json);
    }
    case 'observe': {
      const { observe, observeLimitMs } = await import('./observe.ts');
      limitRun(observeLimitMs(options.rounds, options.seconds));
      return await observe(options.rounds, options.seconds, options.json);
    }
    case 'dirty': {
      const { dirty, dirtyLimitMs } = await import('./dirty.ts');
      limitRun(dirtyLimitMs(options.rounds));
      return await dirty(options.rounds, options.json);
    }
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
