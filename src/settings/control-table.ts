/** The settings of the control interface: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'Control';
const reloadable = false;
const MIB = 1024 * 1024;

export const CONTROL_SETTINGS = {
  /** Where the control interface listens. Taken from the directory that Kirin was started in. */
  controlSocket: {
    name: 'control_socket',
    flag: 'control-socket',
    type: { kind: 'path' },
    defaultText: 'kirin.ctl',
    group,
    text: 'Unix socket that kirinc talks to',
    reloadable,
  },
  controlSocketMode: {
    name: 'control_socket_mode',
    flag: 'control-socket-mode',
    type: { kind: 'mode' },
    defaultText: '0600',
    group,
    text: 'Its permissions, octal',
    reloadable,
    public: true,
  },
  controlSocketDisable: {
    name: 'control_socket_disable',
    flag: 'no-control-socket',
    type: { kind: 'switch' },
    group,
    text: 'Open no control socket',
    reloadable,
    public: true,
  },
  controlSocketRequired: {
    name: 'control_socket_required',
    flag: 'control-socket-required',
    type: { kind: 'switch' },
    group,
    text: 'End where it cannot be opened, instead of serving without',
    reloadable,
    public: true,
  },
  controlSocketReadonly: {
    name: 'control_socket_readonly',
    flag: 'control-socket-readonly',
    type: { kind: 'path' },
    group,
    text: 'A second one that only answers show and help',
    reloadable,
  },
  controlSocketReadonlyMode: {
    name: 'control_socket_readonly_mode',
    flag: 'control-socket-readonly-mode',
    type: { kind: 'mode' },
    defaultText: '0666',
    group,
    text: 'Its permissions, octal',
    reloadable,
    public: true,
  },
  /** The largest request in bytes; a larger one closes its connection. */
  controlRequestBytesMax: {
    name: 'control_request_max',
    flag: 'control-request-max',
    type: { kind: 'bytes', min: 1024, max: 64 * MIB },
    defaultText: '1M',
    group,
    text: 'Largest request in bytes, or such as 64K',
    reloadable,
    public: true,
  },
  /** The largest reply in bytes; in place of a larger one there is an error. */
  controlReplyBytesMax: {
    name: 'control_reply_max',
    flag: 'control-reply-max',
    type: { kind: 'bytes', min: 1024, max: 256 * MIB },
    defaultText: '16M',
    group,
    text: 'Largest reply in bytes, or such as 4M',
    reloadable,
    public: true,
  },
  /** Of each of the two sockets. */
  controlSessions: {
    name: 'control_sessions',
    flag: 'control-sessions',
    type: { kind: 'count', min: 1, max: 10_000 },
    defaultText: '64',
    group,
    text: 'Connections at once',
    reloadable,
    public: true,
  },
  controlIdleMs: {
    name: 'control_idle_timeout',
    flag: 'control-idle-timeout',
    type: { kind: 'seconds', min: 0, max: 20 * 24 * 3600 },
    defaultText: '300',
    group,
    text: 'Seconds after which a silent connection is closed; 0: never',
    reloadable,
    public: true,
  },
  /** Commands of one connection that were taken and not answered yet; one more closes it. */
  controlQueue: {
    name: 'control_queue',
    flag: 'control-queue',
    type: { kind: 'count', min: 1, max: 10_000 },
    defaultText: '64',
    group,
    text: 'Commands of one connection that may wait',
    reloadable,
    public: true,
  },
  /** After it the client is told that nobody waits any more; what was ordered goes on. */
  controlCommandMs: {
    name: 'control_command_timeout',
    flag: 'control-command-timeout',
    type: { kind: 'seconds', min: 0.001, max: 20 * 24 * 3600 },
    defaultText: '600',
    group,
    text: 'Seconds that a command with --wait may take',
    reloadable,
    public: true,
  },
} as const satisfies Record<string, Setting>;
