/** The text of replies, byte for byte. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { replyText } from '../../src/cli/kirinc/format.ts';
import { eventLine } from '../../src/cli/kirinc/format-own.ts';
import { bytes, decimal, duration, json, visible } from '../../src/cli/kirinc/text.ts';
import { STATS } from './stand-in.ts';

const cases: Record<string, [command: string, data: unknown, text: string]> = {
  'show workers': [
    'show workers',
    { workers: [{ pid: 12345, age: 1, booted: true, aborted: false, last_heartbeat: 0.2 }], count: 1 },
    `PID        AGE    BOOTED   LAST_BEAT
----------------------------------------
12345      1      yes      0.2s ago

Total: 1 workers`,
  ],
  'show workers of none': ['show workers', { workers: [], count: 0 }, 'No workers running'],
  'show workers with what is missing': [
    'show workers',
    {
      workers: [
        { pid: 7, last_heartbeat: null },
        { age: 2, booted: false, last_heartbeat: 2 },
      ],
    },
    `PID        AGE    BOOTED   LAST_BEAT
----------------------------------------
7          -      -        -
-          2      no       2.0s ago

Total: 2 workers`,
  ],
  'show all': [
    'show all',
    {
      arbiter: { pid: 12345, type: 'arbiter', role: 'master' },
      web_workers: [12346, 12347, 12348, 12349].map((pid, at) => ({
        pid,
        type: 'web',
        age: at + 1,
        booted: true,
        last_heartbeat: 0.05,
      })),
      web_worker_count: 4,
      dirty_arbiter: { pid: 12350, type: 'dirty_arbiter', role: 'dirty master' },
      dirty_workers: [
        { pid: 12351, age: 1, apps: ['ml:MLModel', 'images:ImageProcessor'], booted: true },
        { pid: 12352, age: 2, apps: [] },
      ],
      dirty_worker_count: 2,
    },
    `ARBITER (master)
  PID: 12345

WEB WORKERS (4)
  PID        AGE    BOOTED   LAST_BEAT
  --------------------------------------
  12346      1      yes      0.05s ago
  12347      2      yes      0.05s ago
  12348      3      yes      0.05s ago
  12349      4      yes      0.05s ago

DIRTY ARBITER
  PID: 12350

DIRTY WORKERS (2)
  PID        AGE    APPS
  --------------------------------------------------
  12351      1      MLModel
                    ImageProcessor
  12352      2      (no apps)`,
  ],
  'show all of nothing': [
    'show all',
    {},
    'ARBITER (master)\n  PID: -\n\nWEB WORKERS (0)\n  (none)\n\nDIRTY ARBITER\n  (not running)',
  ],
  'show stats': [
    'show stats',
    { ...STATS, generation: 4 },
    `Uptime:           2h 15m 30s
PID:              12345
Workers current:  4
Workers target:   4
Workers spawned:  6
Workers killed:   2
Reloads:          1`,
  ],
  'show stats of less': [
    'show stats',
    { uptime: 45.9, dirty_arbiter_pid: 8 },
    `Uptime:           45s
PID:              -
Workers current:  -
Workers target:   -
Workers spawned:  -
Workers killed:   -
Reloads:          -
Dirty arbiter:    8`,
  ],
  'show listeners': [
    'show listeners',
    {
      listeners: [
        { address: '127.0.0.1:8000', fd: 5, type: 'tcp' },
        { address: `unix:/${'x'.repeat(40)}`, fd: 6, type: 'unix' },
      ],
      count: 2,
    },
    `ADDRESS                                  TYPE     FD
-------------------------------------------------------
127.0.0.1:8000                           tcp      5
unix:/${'x'.repeat(40)} unix     6

Total: 2 listeners`,
  ],
  'show config': [
    'show config',
    { workers: 2, bind: ['a', 'b'], user: null, raw_env: { A: '1' }, loglevel: 'info', on: false, empty: '' },
    `bind: ["a","b"]
empty:
loglevel: info
on: false
raw_env: {"A":"1"}
user: null
workers: 2`,
  ],
  'show config origin': [
    'show config origin',
    { workers: { value: 2, origin: '--workers' }, loglevel: { value: 'info', origin: 'default' } },
    'loglevel: info  (default)\nworkers: 2      (--workers)',
  ],
  'show dirty': [
    'show dirty',
    {
      enabled: true,
      pid: 12350,
      workers: [{ pid: 12351, age: 1, apps: ['ml:Model'], booted: true, last_heartbeat: 0.5 }],
      apps: [
        { import_path: 'ml:Model', worker_count: null, current_workers: 1, worker_pids: [12351] },
        { import_path: 'img:Proc', worker_count: 2, current_workers: 2, worker_pids: [1, 2] },
      ],
    },
    `Dirty arbiter PID: 12350

DIRTY WORKERS:
PID        AGE    APPS                           LAST_BEAT
------------------------------------------------------------
12351      1      ml:Model                       0.5s ago

DIRTY APPS:
APP                            WORKERS    LIMIT
--------------------------------------------------
ml:Model                       1          none
img:Proc                       2          2`,
  ],
  'show dirty when off': [
    'show dirty',
    { enabled: false, pid: null, workers: [], apps: [] },
    'Dirty arbiter not running',
  ],
  help: [
    'help',
    { commands: { 'show workers': 'Workers', help: 'This' } },
    'Available commands:\n\n  help           This\n  show workers   Workers',
  ],
  'show workers wide': [
    'show workers wide',
    {
      workers: [
        {
          pid: 12346,
          age: 1,
          booted: true,
          last_heartbeat: 0.25,
          slot: 0,
          generation: 2,
          state: 'ready',
          requests: 1234,
          requests_per_second: 12.34,
          connections: 5,
          in_flight: 1,
          loop_delay_p99_ms: 10.54,
          utilization: 0.456,
          rss_bytes: 66479718,
          uptime: 3665.5,
        },
        { pid: 7 },
      ],
      count: 2,
    },
    `  PID  AGE  SLOT  GEN  STATE  REQUESTS  REQ/S  CONNS  IN_FLIGHT  LOOP_P99  UTIL       RSS    UPTIME  LAST_BEAT
--------------------------------------------------------------------------------------------------------------
12346    1     0    2  ready      1234   12.3      5          1    10.5ms   46%  63.4 MiB  1h 1m 5s      0.25s
    7    -     -    -  -             -      -      -          -         -     -         -         -          -

Total: 2 workers`,
  ],
  'show workers that accept nothing': [
    'show workers wide',
    {
      workers: [
        { pid: 7, state: 'ready', paused: true, full: true },
        { pid: 8, state: 'ready', paused: false, full: true },
        { pid: 9, state: 'draining', full: true },
        { pid: 10, state: 'ready', resting: true },
        { pid: 11, state: 'ready', full: true, resting: true },
      ],
      count: 5,
    },
    `PID  AGE  SLOT  GEN  STATE     REQUESTS  REQ/S  CONNS  IN_FLIGHT  LOOP_P99  UTIL  RSS  UPTIME  LAST_BEAT
--------------------------------------------------------------------------------------------------------
  7    -     -    -  paused           -      -      -          -         -     -    -       -          -
  8    -     -    -  full             -      -      -          -         -     -    -       -          -
  9    -     -    -  draining         -      -      -          -         -     -    -       -          -
 10    -     -    -  resting          -      -      -          -         -     -    -       -          -
 11    -     -    -  full             -      -      -          -         -     -    -       -          -

Total: 5 workers`,
  ],
  'show generations': [
    'show generations',
    {
      generations: [
        { generation: 1, status: 'outdated', workers: 1, ready: 0, leaving: 1, addresses: ['127.0.0.1:1'] },
        { generation: 2, status: 'committed', workers: 4, ready: 4, leaving: 0, addresses: [] },
      ],
      rollout: 'settled',
      hiring: 'free',
      degraded: true,
      stalled: false,
      reason: 'no memory',
    },
    `GENERATION  STATUS     WORKERS  READY  LEAVING  ADDRESSES
-----------------------------------------------------------
         1  outdated         1      0        1  127.0.0.1:1
         2  committed        4      4        0  -

Rollout:   settled
Hiring:    free
Degraded:  yes
Stalled:   no
Reason:    no memory`,
  ],
  'show machine': [
    'show machine',
    {
      machines: [
        { id: 'arbiter', machine: 'arbiter', state: 'alive' },
        { id: 'child.1', machine: 'child', state: 'alive.ready', pid: 9, age: 1 },
      ],
      count: 2,
    },
    `ID       MACHINE  STATE        PID  AGE
---------------------------------------
arbiter  arbiter  alive          -    -
child.1  child    alive.ready    9    1

Total: 2 machines`,
  ],
  'show machine ID': [
    'show machine child.1',
    {
      id: 'child.1',
      machine: 'child',
      state: 'alive.ready',
      pid: 9,
      age: 1,
      path: { alive: { ready: 'fresh', link: {} } },
    },
    `ID:       child.1
Machine:  child
PID:      9
Age:      1
State:
  alive
    ready
      fresh
    link`,
  ],
  'show events': [
    'show events 2',
    {
      events: [
        { seq: 7, time: '2026-11-22T15:49:38.123Z', level: 'info', text: 'one\ntwo' },
        { seq: 8, time: 1000, level: 'error', text: 'bad' },
      ],
      count: 2,
      dropped: 6,
    },
    `(6 older events are gone)
2026-11-22T15:49:38.123Z info  one\\ntwo
1970-01-01T00:00:01.000Z error bad`,
  ],
  'show version': [
    'show version',
    { name: 'kirin', version: '1.2.3', node: 'v20.19.0', protocol: 1 },
    'Server:    kirin 1.2.3\nNode.js:   v20.19.0\nProtocol:  1',
  ],
  'an order': ['worker add 2', { added: 2, list: [] }, '{\n  "added": 2,\n  "list": []\n}'],
  'no object at all': ['show workers', null, 'null'],
  'a reply that is a list': ['show stats', [1], '[\n  1\n]'],
};

describe('the text of', () => {
  for (const [name, [command, data, text]] of Object.entries(cases))
    test(name, () => {
      assert.equal(replyText(command.split(' '), data), text);
    });
});

test('no reply paints the terminal or breaks a line', () => {
  const evil = 'a\u001b[31m\r\n\u0007\u009b2J\u2028\u202e';
  const shown = visible(evil);
  assert.equal(shown, 'a\\u001b[31m\\u000d\\n\\u0007\\u009b2J\\u2028\\u202e');
  const replies: [string, unknown][] = [
    ['show config', { [evil]: evil, list: [evil] }],
    ['show config origin', { [evil]: { value: evil, origin: evil } }],
    ['show workers wide', { workers: [{ state: evil }] }],
    ['show listeners', { listeners: [{ address: evil }] }],
    ['show all', { dirty_arbiter: {}, dirty_workers: [{ apps: [evil] }] }],
    ['show dirty', { enabled: true, apps: [{ import_path: evil }], workers: [{ apps: [evil] }] }],
    ['show machine x', { id: evil, path: { [evil]: evil } }],
    ['show events', { events: [{ text: evil, level: evil, time: evil }] }],
    ['show generations', { generations: [{ status: evil, addresses: [evil] }], reason: evil }],
    ['help', { commands: { [evil]: evil } }],
    ['reload', { error: evil }],
  ];
  for (const [command, data] of replies)
    assert.doesNotMatch(replyText(command.split(' '), data), /(?!\n)\p{Cc}|[\u2028\u202e]/u, command);
  assert.deepEqual(JSON.parse(json({ evil })), { evil }, 'and JSON says the same');
});

test('numbers look as Python and people write them', () => {
  assert.deepEqual([0.2, 2, 0, 12.05, 100].map(decimal), ['0.2', '2.0', '0.0', '12.05', '100.0']);
  assert.deepEqual([0, 45, 60, 185.9, 8130, 360000, -1, Number.NaN, null, '5'].map(duration), [
    '0s',
    '45s',
    '1m 0s',
    '3m 5s',
    '2h 15m 30s',
    '100h 0m 0s',
    '0s',
    '-',
    '-',
    '-',
  ]);
  assert.deepEqual([0, 512, 1024, 1.5 * 1024 ** 3, null].map(bytes), [
    '0 B',
    '512 B',
    '1.0 KiB',
    '1.5 GiB',
    '-',
  ]);
});

test('an event is one line', () => {
  assert.equal(eventLine({ time: 'now', level: 'warn', text: 'x' }), 'now warn  x');
  assert.equal(eventLine({}), '- -     -');
});
