/** The settings of the live inspector: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'Inspector';
const reloadable = false;
const MIB = 1024 * 1024;

export const INSPECTOR_SETTINGS = {
  /** Where the page of the inspector is served; undefined: nowhere. */
  inspector: {
    name: 'inspector',
    flag: 'inspector',
    type: { kind: 'endpoint', byDefault: '127.0.0.1:8780' },
    defaultText: 'off',
    group,
    text: 'Serve the live inspector, at 127.0.0.1:8780 unless HOST:PORT or PORT follows',
    reloadable,
    public: true,
  },
  inspectorAllowRemote: {
    name: 'inspector_allow_remote',
    flag: 'inspector-allow-remote',
    type: { kind: 'switch' },
    group,
    text: 'Let it be served on another address than a loopback one; needs a token',
    reloadable,
    public: true,
  },
  inspectorToken: {
    name: 'inspector_token',
    flag: 'inspector-token',
    type: { kind: 'token', lengthMin: 16, lengthMax: 256 },
    group,
    text: 'Who opens the page must know it; better given as $KIRIN_INSPECTOR_TOKEN',
    reloadable,
  },
  inspectorControl: {
    name: 'inspector_control',
    flag: 'inspector-control',
    type: { kind: 'switch' },
    group,
    text: 'Let the page add, remove, kill and reload workers',
    reloadable,
    public: true,
  },
  /** The newest part; what is older lies beside it, with `.1` at the end of its name. */
  inspectorRecord: {
    name: 'inspector_record',
    flag: 'inspector-record',
    type: { kind: 'path' },
    group,
    text: 'Keep what happened in this file, for "kirin inspect FILE"',
    reloadable,
  },
  /** Of both files of a recording together. */
  inspectorRecordBytesMax: {
    name: 'inspector_record_max',
    flag: 'inspector-record-max',
    type: { kind: 'bytes', min: 2 * MIB, max: 1024 * MIB },
    defaultText: '32M',
    group,
    text: 'How much is kept there, in bytes, or such as 64M',
    reloadable,
    public: true,
  },
} as const satisfies Record<string, Setting>;
