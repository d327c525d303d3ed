// The first start of what was built: it leaves what V8 has made of the code (`src/stages/stages.ts`), as the first start of an
// installed package does, so that whoever measures or tests starts meets those that come after it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LIMIT_MS = 20_000;
const LOOK_MS = 50;
/** The arbiter's two, and the worker's. */
const STAGES = 3;

/** Variables of whoever builds that would make this another start. */
const STEERS =
  /^(KIRIN_.*|NODE_OPTIONS|NODE_DISABLE_COMPILE_CACHE|NODE_COMPILE_CACHE|PORT|WEB_CONCURRENCY|LISTEN_.*)$/;

/** Where it cannot be, starts are only slower. */
export async function firstStart(outdir) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !STEERS.test(name)));
  const server = spawn(
    process.execPath,
    [join(outdir, 'kirin.cjs'), '-b', '127.0.0.1:0', '--no-control-socket', 'examples/hello/app.js'],
    { env, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = once(server, 'exit');
  let log = '';
  server.stderr.setEncoding('utf8').on('data', (text) => {
    log += text;
  });
  const cache = join(outdir, 'cache');
  const isKept = () =>
    existsSync(cache) && readdirSync(cache).filter((name) => !/\.\d+$/.test(name)).length >= STAGES;
  let isAsked = false;
  for (let passedMs = 0; passedMs < LIMIT_MS && server.exitCode === null && !isKept(); passedMs += LOOK_MS) {
    const port = /serving .*:(\d+)\n/.exec(log)?.[1];
    if (port && !isAsked) {
      isAsked = true;
      http.get({ host: '127.0.0.1', port, agent: false }, (answer) => answer.resume()).on('error', () => {});
    }
    await sleep(LOOK_MS);
  }
  if (!isKept()) console.error(`the first start has kept no code:\n${log}`);
  server.kill('SIGTERM');
  await ended;
}
