/** The examples for systemd, Docker and Kubernetes: each says nothing that these, or Kirin, would refuse. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { settingList } from '../src/settings/table.ts';

const pathOf = (name: string): string => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
const read = (name: string): string => readFileSync(pathOf(name), 'utf8');
const FLAGS = new Set(settingList.map(({ flag }) => `--${flag}`));

/** Long options of a command line of Kirin's. */
const flagsIn = (text: string): string[] =>
  [...text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag);

/** `Key=value` lines by section; throws for what is neither those, nor a section, nor a remark. */
function unit(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let section = '';
  for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('#'))) {
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    if (heading) section = heading;
    else {
      const [, key, value] = /^(\w+)=(.+)$/.exec(line) ?? assert.fail(`${line} is no assignment`);
      found.set(`${section}.${key}`, value!);
    }
  }
  return found;
}

test('the units of systemd say what the protocol needs', () => {
  const service = unit(read('systemd/kirin.service'));
  assert.equal(service.get('Service.Type'), 'notify');
  assert.equal(service.get('Service.NotifyAccess'), 'all');
  assert.equal(service.get('Service.KillMode'), 'mixed');
  assert.ok(Number(service.get('Service.TimeoutStopSec')) > 30);
  assert.equal(service.get('Unit.Requires'), 'kirin.socket');
  for (const flag of flagsIn(service.get('Service.ExecStart')!)) assert.ok(FLAGS.has(flag), flag);
  assert.match(unit(read('systemd/kirin.socket')).get('Socket.ListenStream')!, /:8000$/);
});

test('systemd finds nothing wrong with them', { skip: process.platform !== 'linux' }, () => {
  const files = [pathOf('systemd/kirin.service'), pathOf('systemd/kirin.socket')];
  const verified = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
  // Where there is no systemd the test before this one has read them.
  if (verified.error) return;
  assert.equal(verified.stderr, '');
  assert.equal(verified.status, 0);
});

test('the Dockerfile has an init, a user that is not root, and options that Kirin knows', () => {
  const text = read('docker/Dockerfile');
  assert.equal(text.match(/^FROM /gm)?.length, 2);
  assert.match(text, /^ENTRYPOINT \["tini", "--", /m);
  assert.match(text, /^USER [1-9]\d+:[1-9]\d+$/m);
  assert.match(text, /^HEALTHCHECK /m);
  const [, json = ''] = /^CMD (\[.*\])$/m.exec(text) ?? [];
  for (const flag of flagsIn((JSON.parse(json) as string[]).join(' '))) assert.ok(FLAGS.has(flag), flag);
});

test('the pod has time for the lame duck and the grace, and probes where metrics are', () => {
  const text = read('kubernetes/deployment.yaml');
  const args = [...text.matchAll(/^ +- (--[a-z-]+)(?:=(\S+))?$/gm)].map(
    ([, flag = '', value]) => [flag, value] as const,
  );
  assert.ok(args.length > 5);
  for (const [flag] of args) assert.ok(FLAGS.has(flag), flag);
  const of = new Map(args);
  const grace = Number(/terminationGracePeriodSeconds: (\d+)/.exec(text)?.[1]);
  assert.ok(grace > Number(of.get('--lame-duck')) + Number(of.get('--graceful-timeout')));
  assert.match(of.get('--metrics') ?? '', /:9180$/);
  assert.match(text, /name: metrics\n +containerPort: 9180\n/);
  assert.equal(text.match(/path: \/(readyz|healthz)\n +port: metrics/g)?.length, 3);
  assert.match(text, /readOnlyRootFilesystem: true/);
  assert.match(text, /runAsNonRoot: true/);
});
