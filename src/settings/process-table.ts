/** The settings of the processes themselves, and of what Node.js is told in them: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'Processes';
/** As much as libuv takes. */
const THREADS_MAX = 1024;
/** A worker without an app needs more than this, in MiB; more than the other no machine has. */
const HEAP_MIB_MIN = 16;
const HEAP_MIB_MAX = 1024 ** 2;

/** Their values, resolved. */
export interface ProcessSettings {
  /** undefined: the app's name. */
  procName: string | undefined;
  /** Permission bits; undefined: inherited. */
  umask: number | undefined;
  /** Options of Node.js, as they are. */
  nodeArgs: string[];
  maxOldSpaceMib: number | undefined;
  threadpoolSize: number | undefined;
  /** Modules as typed. */
  preload: string[];
  compileCache: string | undefined;
  /** Default false. */
  captureOutput: boolean;
}

export const PROCESS_DEFAULTS: ProcessSettings = {
  procName: undefined,
  umask: undefined,
  nodeArgs: [],
  maxOldSpaceMib: undefined,
  threadpoolSize: undefined,
  preload: [],
  compileCache: undefined,
  captureOutput: false,
};

export const PROCESS_SETTINGS = {
  /** In `ps` and `top`. */
  procName: {
    name: 'proc_name',
    flag: 'proc-name',
    letter: 'n',
    aliases: ['name'],
    type: { kind: 'label', lengthMax: 64 },
    defaultText: 'the app',
    group,
    text: 'What the processes are called in ps and top',
    reloadable: false,
  },
  /** Of all that Kirin's processes make, sockets included, unless it has permissions of its own. */
  umask: {
    name: 'umask',
    flag: 'umask',
    letter: 'm',
    type: { kind: 'mode' },
    defaultText: 'inherited',
    group,
    text: 'Permission bits that new files and sockets are not given, octal',
    reloadable: false,
    public: true,
  },
  /** For web and dirty workers. */
  nodeArgs: {
    name: 'node_args',
    flag: 'node-arg',
    // An option may have commas in it; NODE_OPTIONS is Node's own variable.
    variable: false,
    type: { kind: 'words' },
    group,
    text: 'Option of Node.js for each worker, such as --expose-gc; may be repeated',
    reloadable: true,
  },
  maxOldSpaceMib: {
    name: 'max_old_space_size',
    flag: 'max-old-space-size',
    type: { kind: 'count', min: HEAP_MIB_MIN, max: HEAP_MIB_MAX },
    defaultText: 'as Node.js has it',
    group,
    text: 'Largest JavaScript heap of a worker, in MiB',
    reloadable: true,
    public: true,
  },
  threadpoolSize: {
    name: 'threadpool_size',
    flag: 'threadpool-size',
    type: { kind: 'count', min: 1, max: THREADS_MAX },
    defaultText: 'as Node.js has it: 4',
    group,
    text: 'Threads of a worker for files, DNS and cryptography',
    reloadable: true,
    public: true,
  },
  preload: {
    name: 'preload',
    flag: 'preload',
    type: { kind: 'texts' },
    group,
    text: 'Module that each worker imports before everything else; may be repeated',
    reloadable: true,
  },
  compileCache: {
    name: 'compile_cache',
    flag: 'compile-cache',
    type: { kind: 'path' },
    group,
    text: 'Directory of nobody else for compiled code of workers, which start faster (Node.js 22.1)',
    reloadable: true,
  },
  captureOutput: {
    name: 'capture_output',
    flag: 'capture-output',
    type: { kind: 'switch' },
    group,
    text: 'Put what workers print into the log, line by line',
    reloadable: false,
    public: true,
  },
} as const satisfies Record<string, Setting>;
