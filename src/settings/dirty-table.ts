/** The settings of dirty workers: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'Dirty workers';
const SECONDS_MAX = 20 * 24 * 3600;
const WORKERS_MAX = 1024;
const GIB = 1024 ** 3;

export const DIRTY_SETTINGS = {
  /** What callers name the apps by, as it is written here without the number. */
  dirtyApps: {
    name: 'dirty_apps',
    flag: 'dirty-app',
    type: { kind: 'texts' },
    group,
    text: 'MODULE:CLASS[:N], loaded by N dirty workers or by all; may be repeated',
    reloadable: true,
  },
  dirtyWorkers: {
    name: 'dirty_workers',
    flag: 'dirty-workers',
    type: { kind: 'count', min: 0, max: WORKERS_MAX },
    defaultText: '0',
    group,
    text: 'Number of dirty workers; 0: no dirty arbiter',
    reloadable: true,
    public: true,
  },
  /** Of a call, the time in the queue included. */
  dirtyTimeoutMs: {
    name: 'dirty_timeout',
    flag: 'dirty-timeout',
    type: { kind: 'seconds', min: 0, max: SECONDS_MAX },
    defaultText: '300',
    group,
    text: 'Seconds a call may take; 0: no limit',
    reloadable: true,
    public: true,
  },
  /** More than one is of use for actions that await. */
  dirtyThreads: {
    name: 'dirty_threads',
    flag: 'dirty-threads',
    type: { kind: 'count', min: 1, max: 10_000 },
    defaultText: '1',
    group,
    text: 'Calls at once in one dirty worker',
    reloadable: true,
    public: true,
  },
  /** Also how long a call may run on that is not wanted any more before that costs its worker, and then the others in it. */
  dirtyGracefulTimeoutMs: {
    name: 'dirty_graceful_timeout',
    flag: 'dirty-graceful-timeout',
    type: { kind: 'seconds', min: 0, max: SECONDS_MAX },
    defaultText: '30',
    group,
    text: 'Seconds a leaving dirty worker may take, and a call after its deadline',
    reloadable: true,
    public: true,
  },
  dirtyQueue: {
    name: 'dirty_queue',
    flag: 'dirty-queue',
    type: { kind: 'count', min: 1, max: 1_000_000 },
    defaultText: '1000',
    group,
    text: 'Calls of one app that may wait',
    reloadable: true,
    public: true,
  },
  dirtyResources: {
    name: 'dirty_resources',
    flag: 'dirty-resource',
    // A list in a variable: KIRIN_DIRTY_RESOURCE=gpu=2,license=1
    type: { kind: 'amounts' },
    group,
    text: 'NAME=N: N tokens of what dirty apps hold, such as gpu=2; may be repeated',
    reloadable: true,
    public: true,
  },
  dirtyStashBytesMax: {
    name: 'dirty_stash_max',
    flag: 'dirty-stash-max',
    type: { kind: 'bytes', min: 1024, max: 64 * GIB },
    defaultText: '64M',
    group,
    text: 'Bytes that the stash may hold, or such as 1G',
    reloadable: false,
    public: true,
  },
} as const satisfies Record<string, Setting>;
