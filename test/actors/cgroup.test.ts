/** Limits of control groups, in directories that are made up. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cgroupLimits, memoryShare, workersFor } from '../../src/actors/cgroup.ts';
import { sharedMemory } from '../../src/settings/memory-share.ts';
import { settingsSource } from '../../src/settings.ts';

const MIB = 1024 ** 2;
const none = { cpus: undefined, memoryBytes: undefined };

function machine(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'kirin-cgroup-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

test('version 2: the smallest of all levels counts', (t) => {
  const root = machine(t, {
    'proc/self/cgroup': '0::/system.slice/app.service\n',
    'sys/fs/cgroup/system.slice/memory.max': `${512 * MIB}\n`,
    'sys/fs/cgroup/system.slice/app.service/memory.max': 'max\n',
    'sys/fs/cgroup/system.slice/app.service/cpu.max': '250000 100000\n',
    'sys/fs/cgroup/system.slice/cpu.max': 'max 100000\n',
  });
  assert.deepEqual(cgroupLimits(root), { cpus: 2.5, memoryBytes: 512 * MIB });
});

test('version 2 in a container: its own root', (t) => {
  const root = machine(t, {
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': `${256 * MIB}\n`,
    'sys/fs/cgroup/cpu.max': '50000 100000\n',
  });
  assert.deepEqual(cgroupLimits(root), { cpus: 0.5, memoryBytes: 256 * MIB });
});

test("version 1, also where the path is the host's, or both controllers of processors are one", (t) => {
  const files = {
    'proc/self/cgroup': '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': `${128 * MIB}\n`,
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '150000\n',
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '50000\n',
  };
  assert.deepEqual(cgroupLimits(machine(t, files)), { cpus: 3, memoryBytes: 128 * MIB });
  const free = {
    ...files,
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
  };
  assert.deepEqual(cgroupLimits(machine(t, free)), none);
});

test('no limits where there are none, or where what is there makes no sense', (t) => {
  assert.deepEqual(cgroupLimits(machine(t, {})), none);
  const odd = {
    'proc/self/cgroup': '0::/x\nnonsense\n',
    'sys/fs/cgroup/x/memory.max': 'much\n',
    'sys/fs/cgroup/x/cpu.max': '0 0\n',
  };
  assert.deepEqual(cgroupLimits(machine(t, odd)), none);
});

test('auto: a worker for each processor that may be used, as far as there is memory, and at least one', () => {
  assert.equal(workersFor(8, none), 8);
  assert.equal(workersFor(8, { ...none, cpus: 2.5 }), 2);
  assert.equal(workersFor(8, { ...none, cpus: 0.2 }), 1);
  assert.equal(workersFor(2, { ...none, cpus: 16 }), 2);
  assert.equal(workersFor(8, { ...none, memoryBytes: 200 * MIB }), 3);
  assert.equal(workersFor(8, { ...none, memoryBytes: MIB }), 1);
});

test('a share that no worker can live on is one line', () => {
  assert.equal(sharedMemory(3, { ...none, memoryBytes: 64 * MIB }), 16 * MIB);
  assert.throws(
    () => sharedMemory(8, { ...none, memoryBytes: 128 * MIB }),
    /^FaultError: --max-memory auto: the container has 128M, too little for 8 workers and 16M each/,
  );
});

test('--max-memory auto is the share, and there is no such thing for the hard limit', async () => {
  const read = (flags: object) => settingsSource({ app: 'app.js', flags }, {}, tmpdir())();
  const settings = await read({ maxMemoryBytes: ['auto'], workers: ['3'] });
  assert.equal(settings.maxMemoryBytes, sharedMemory(3, cgroupLimits()));
  await assert.rejects(read({ maxMemoryHardBytes: ['auto'] }), /--max-memory-hard must be a number of bytes/);
});

test('a share of the memory leaves one over; without a limit there is none', () => {
  assert.equal(memoryShare(3, { ...none, memoryBytes: 400 * MIB }), 100 * MIB);
  assert.equal(memoryShare(3, none), 0);
});
