/**
 * Peers that are not of this repository: PM2 and Watt. They are fetched from npm when a benchmark wants them, once, into
 * `node_modules/.cache/bench`; nothing depends on them, and no script of theirs is run while they are installed. One that cannot
 * be fetched or does not run on this Node.js is left out with a line that says so.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makePlace, run, type Server, startServer } from './fleet.ts';
import type { How, Opened } from './peers.ts';

const cache = fileURLToPath(new URL('../node_modules/.cache/bench', import.meta.url));
const servers = fileURLToPath(new URL('servers', import.meta.url));
const FETCH_MS = 150_000;
const DAEMON_MS = 20_000;
const COMMAND_MS = 30_000;

const PM2 = ['pm2@7'];
const WATT = ['wattpm@3', '@platformatic/node@3'];

/** Where the packages are: the `node_modules` that has them. Throws where they cannot be fetched. */
async function fetched(name: string, packages: readonly string[]): Promise<string> {
  const place = join(cache, name);
  const modules = join(place, 'node_modules');
  // Written last, so that an installation that was broken off is done anew.
  const done = join(place, 'fetched');
  const wanted = packages.join(' ');
  if (existsSync(done) && readFileSync(done, 'utf8') === wanted) return modules;
  mkdirSync(place, { recursive: true });
  const quiet = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts'];
  // The user's own settings say where the registry is.
  const env = Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? '']));
  const command = ['npm', 'install', ...quiet, '--prefix', place, ...packages];
  await run(command, FETCH_MS, { env }).catch((error: Error) => {
    const reason = error.message.split('\n', 1)[0]!.replace(command.join(' '), 'npm install');
    throw new Error(`it could not be fetched: ${reason}`);
  });
  writeFileSync(done, wanted);
  return modules;
}

function versionOf(modules: string, name: string): { version: string; engines?: { node?: string } } {
  return JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8'));
}

/** PM2 in cluster mode: its daemon with a home of its own, which is up before an app is started. */
export async function openPm2({ workers, node }: How, host: string): Promise<Opened> {
  const modules = await fetched('pm2', PM2);
  const { version } = versionOf(modules, 'pm2');
  const home = makePlace('pm2');
  for (const folder of ['logs', 'pids', 'modules']) mkdirSync(join(home, folder));
  writeFileSync(join(home, 'module_conf.json'), '{}');
  const env = {
    PM2_HOME: home,
    // It looks for its own updates and speaks to its vendor else.
    PM2_DISABLE_VERSION_CHECK: 'true',
    PM2_NO_INTERACTION: 'true',
    PM2_DISCRETE_MODE: 'true',
    SILENT: 'true',
  };
  // As its command starts it, but in our process group, so that it ends with us in any case.
  const daemon = startServer([node, join(modules, 'pm2/lib/Daemon.js')], { env, cwd: home });
  const pm2 = (...args: string[]) => [node, join(modules, 'pm2/bin/pm2'), ...args];
  const limit = performance.now() + DAEMON_MS;
  while (!existsSync(join(home, 'rpc.sock'))) {
    if (daemon.ended || performance.now() > limit) {
      await daemon.kill();
      throw new Error(`PM2's daemon did not start: ${daemon.complaint()}`);
    }
    await sleep(20);
  }
  return {
    version: `PM2 ${version}`,
    launch(port) {
      const script = [join(servers, 'bare.mjs'), '-i', String(workers), '--name', 'bench'];
      const command = pm2('start', ...script, '--no-vizion', '--no-automation', '--', host, String(port));
      const started = run(command, COMMAND_MS, { env, cwd: home });
      let complaint = '';
      started.catch((error: Error) => {
        complaint = error.message;
      });
      return {
        pid: daemon.pid,
        complaint: () => complaint || daemon.complaint(),
        get ended() {
          return daemon.ended || complaint !== '';
        },
        signal: (signal) => daemon.signal(signal),
        async kill() {
          await started.catch(() => {});
          await run(pm2('kill'), COMMAND_MS, { env, cwd: home }).catch(() => {});
          await daemon.kill();
        },
      };
    },
    close: () => daemon.kill(),
  };
}

/** Watt's node capability: one process, whose workers are threads that listen with reusePort. */
export async function openWatt({ workers, node }: How, host: string): Promise<Opened> {
  const modules = await fetched('watt', WATT);
  const { version, engines } = versionOf(modules, 'wattpm');
  const needed = /(\d+)\.(\d+)/.exec(engines?.node ?? '');
  const own = /(\d+)\.(\d+)/.exec(await run([node, '--version'], COMMAND_MS))!;
  if (needed && Number(own[1]) * 1000 + Number(own[2]) < Number(needed[1]) * 1000 + Number(needed[2]))
    throw new Error(`it needs Node.js ${engines!.node}; give one with --node PATH`);
  const place = makePlace('watt');
  symlinkSync(modules, join(place, 'node_modules'));
  for (const file of ['app.mjs', 'watt.mjs']) copyFileSync(join(servers, file), join(place, file));
  writeFileSync(join(place, 'package.json'), '{"name":"bench","version":"1.0.0","type":"module"}');
  return {
    version: `Watt ${version}`,
    launch(port): Server {
      const runtime = {
        workers,
        server: { hostname: host, port },
        logger: { level: 'error' },
        managementApi: false,
        metrics: false,
      };
      const about = { node: { main: 'watt.mjs' }, runtime };
      const $schema = `https://schemas.platformatic.dev/@platformatic/node/${versionOf(modules, '@platformatic/node').version}.json`;
      writeFileSync(join(place, 'watt.json'), JSON.stringify({ $schema, ...about }));
      return startServer([node, join(modules, 'wattpm/bin/cli.js'), 'start'], { cwd: place });
    },
    close: async () => {},
  };
}
