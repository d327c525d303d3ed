/** The settings of what is done about a worker that misbehaves, or is debugged: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'Workers';
const reloadable = true;
/** More than any machine has. */
const MEMORY_MAX = 1024 ** 5;

export const WATCHING_SETTINGS = {
  /** Read by the arbiter, of the whole process: a worker that hangs is measured too. */
  maxMemoryBytes: {
    name: 'max_memory',
    flag: 'max-memory',
    type: { kind: 'bytes', min: 0, max: MEMORY_MAX, auto: true },
    defaultText: '0',
    group,
    text: 'Memory of a worker, such as 512M, beyond which it is replaced; "auto": its share of the container\'s; 0: no limit',
    reloadable,
    public: true,
  },
  maxMemoryHardBytes: {
    name: 'max_memory_hard',
    flag: 'max-memory-hard',
    type: { kind: 'bytes', min: 0, max: MEMORY_MAX },
    defaultText: '0',
    group,
    text: 'Memory of a worker beyond which it is killed; 0: no limit',
    reloadable,
    public: true,
  },
  onUncaught: {
    name: 'on_uncaught',
    flag: 'on-uncaught',
    type: { kind: 'choice', of: ['exit', 'drain'] },
    defaultText: 'exit',
    group,
    text: 'What an uncaught error does: exit at once, or drain: answer what is in flight first',
    reloadable,
    public: true,
  },
  hangStack: {
    name: 'hang_stack',
    flag: 'hang-stack',
    type: { kind: 'switch' },
    group,
    text: 'Log where a worker hangs before it is killed; a thread in each worker',
    reloadable,
    public: true,
  },
  /** Of the worker in slot 0; the others have the ports after it. */
  inspect: {
    name: 'inspect',
    flag: 'inspect',
    type: { kind: 'endpoint', byDefault: '127.0.0.1:9229' },
    defaultText: 'off',
    group,
    text: 'A debugger port for each worker, from 127.0.0.1:9229 on unless HOST:PORT or PORT follows',
    reloadable,
    public: true,
  },
} as const satisfies Record<string, Setting>;
