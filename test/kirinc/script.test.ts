/** A shell script that scales by what `show stats` tells, as operators write them: unchanged, also during a reload. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ControlClient } from '../system/control-client.ts';
import { controlled } from '../system/controlled.ts';
import { eventually, type Site } from '../system/harness.ts';
import { kirinc } from './run.ts';

const SCRIPT = `#!/bin/sh
# Scale up during peak hours.
WORKERS=$(kirinc -c "show stats" -j | jq -r '.workers_current')
if [ "$WORKERS" -lt "$1" ]; then
  kirinc -c "worker add 2"
fi
`;

/** Where there is no jq, as much of it as the script needs. */
const JQ = `#!${process.execPath}
const { readFileSync } = require('node:fs');
console.log(JSON.parse(readFileSync(0, 'utf8'))[process.argv.at(-1).slice(1)]);
`;

function scriptIn(site: Site): (most: number) => Promise<{ code: number | null; out: string }> {
  const executable = (name: string, text: string) =>
    spawnSync('chmod', ['755', site.write(`bin/${name}`, text)]);
  executable('kirinc', `#!/bin/sh\nexec "${process.execPath}" "${kirinc}" "$@"\n`);
  if (spawnSync('jq', ['--version']).status !== 0) executable('jq', JQ);
  executable('scale', SCRIPT);
  const env = { ...process.env, PATH: `${site.path('bin')}:${process.env['PATH']}` };
  return (most) =>
    new Promise((resolve) => {
      const child = spawn(site.path('bin/scale'), [String(most)], { cwd: site.directory, env });
      let out = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          out += text;
        });
      child.once('close', (code) => resolve({ code, out }));
    });
}

test('it adds what is missing, and nothing beyond', async (t) => {
  const { site, server } = await controlled(t, ['-w', '1']);
  await server.settled(1);
  const scale = scriptIn(site);
  const first = await scale(3);
  assert.deepEqual([first.code, JSON.parse(first.out)], [0, { added: 2, previous: 1, total: 3 }]);
  await server.settled(3);
  assert.deepEqual(await scale(3), { code: 0, out: '' });
});

test('it is not misled by the candidates and the leaving workers of a reload', async (t) => {
  const { site, server, client } = await controlled(t, [
    '-w',
    '3',
    '--max-surge',
    '3',
    '--reload-settle',
    '0.5',
  ]);
  await server.settled(3);
  const scale = scriptIn(site);
  client.request({ id: 'reload', command: 'reload --wait' });
  let over = false;
  const reload = client.answer('reload').finally(() => {
    over = true;
  });
  await server.told(/worker 4 .* started/);
  let runs = 0;
  do {
    assert.deepEqual(await scale(3), { code: 0, out: '' }, 'three were asked for, and three are counted');
    runs++;
  } while (!over);
  assert.equal((await reload).data.success, true);
  assert.ok(runs > 0);
  await eventually('three of the new generation serve', async () => {
    const { data } = await ControlClient.once(site.path('kirin.ctl'), 'show stats');
    return data.workers_current === 3 && data.generation === 2;
  });
});
