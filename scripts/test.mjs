// The tests that `npm test` runs: types, then every *.test.ts through Node's own runner, slow ones last.
// `npm test -- PATH...` runs only the files whose path contains one of the given texts.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const run = (command, args) => {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};

const wanted = process.argv.slice(2);
const slowLast = (path) => (path.includes('system') ? 1 : 0);
const files = readdirSync('test', { recursive: true })
  .map((path) => `test/${path}`)
  .filter((path) => path.endsWith('.test.ts'))
  .filter((path) => wanted.length === 0 || wanted.some((text) => path.includes(text)))
  .sort((a, b) => slowLast(a) - slowLast(b) || a.localeCompare(b));
if (files.length === 0) {
  console.error(`no test file's path contains ${wanted.join(' or ')}`);
  process.exit(2);
}
if (wanted.length === 0) run('npm', ['run', '--silent', 'types']);
// A file has its processes and ports to itself, but two may run at once.
const limits = ['--test-concurrency=2', '--test-timeout=300000'];
run(process.execPath, ['--import', 'tsx', '--test', '--test-reporter=spec', ...limits, ...files]);
