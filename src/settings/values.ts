/** What settings are once they are read, and what they are where nobody says anything. */
import { availableParallelism } from 'node:os';
import { DEFAULT_FORMAT } from '../actors/requests/access-format.ts';
import { DEVELOPMENT_DEFAULTS, type DevelopmentSettings } from './development-table.ts';
import { HEADERS_DEFAULTS, type HeadersSettings } from './headers-table.ts';
import type { HookFile } from './hooks-table.ts';
import { PRIORITY_DEFAULTS, type PrioritySettings } from './priority-table.ts';
import { PROCESS_DEFAULTS, type ProcessSettings } from './process-table.ts';
import { SYSLOG_DEFAULTS, type SyslogSettings } from './syslog-table.ts';
import { TRAFFIC_DEFAULTS, type TrafficSettings } from './traffic-table.ts';
import { TRANSPORTS_DEFAULTS, type TransportsSettings } from './transports-table.ts';

/** Resolved settings. Times are in milliseconds; paths are absolute. */
export interface Settings
  extends DevelopmentSettings,
    HeadersSettings,
    ProcessSettings,
    PrioritySettings,
    SyslogSettings,
    TrafficSettings,
    TransportsSettings {
  /** MODULE[:EXPORT] as typed. */
  app: string;
  ipv6Only: boolean;
  /** What the app finds in `process.argv` from the third place on. */
  args: string[];
  /** Addresses in their one form, each once. Default `127.0.0.1:8000`, or `0.0.0.0:$PORT`. */
  bind: string[];
  /** Default 2048. */
  backlog: number;
  /** Default 1, or `$WEB_CONCURRENCY`. */
  workers: number;
  /** Default 30,000; 0: no limit. */
  timeoutMs: number;
  /** Default 60,000; 0: no limit. */
  bootTimeoutMs: number;
  /** Default 30,000. */
  gracefulTimeoutMs: number;
  /** undefined where nobody gave it: the app's own, else 75,000. */
  keepAliveMs: number | undefined;
  /** Default 2,000. */
  idleGraceMs: number;
  /** Default 0. */
  lameDuckMs: number;
  /** Default 0: never. */
  maxRequests: number;
  /** Default 0. */
  maxRequestsJitter: number;
  /** Default 0: no limit. */
  maxMemoryBytes: number;
  /** Default 0: no limit. */
  maxMemoryHardBytes: number;
  /** Default `exit`. */
  onUncaught: 'exit' | 'drain';
  /** Default false. */
  hangStack: boolean;
  /** HOST:PORT of the debugger of slot 0; undefined: none. */
  inspect: string | undefined;
  /** Default `{ count: 1 }`. */
  maxSurge: { count: number } | { percent: number };
  /** Default 1,000. */
  reloadSettleMs: number;
  chdir: string | undefined;
  envFile: string[];
  env: Record<string, string>;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  logFormat: 'text' | 'json';
  /** "-": standard error. */
  errorLogfile: string;
  pid: string | undefined;
  /** Default 4 for each core, at least 64. */
  workersMax: number;
  /** MODULE:CLASS[:N] as typed. */
  dirtyApps: string[];
  /** Default 0: no dirty arbiter. */
  dirtyWorkers: number;
  /** Default 300,000; 0: no limit. */
  dirtyTimeoutMs: number;
  /** Default 1. */
  dirtyThreads: number;
  /** Default 30,000. */
  dirtyGracefulTimeoutMs: number;
  /** Calls of one app. Default 1000. */
  dirtyQueue: number;
  /** The hooks of the configuration file; undefined when there are none. */
  hooks: HookFile | undefined;
  /** Default 30,000; 0: no limit. */
  hookTimeoutMs: number;
  /** Tokens by the name of their resource. */
  dirtyResources: Record<string, number>;
  /** Default 64 MiB. */
  dirtyStashBytesMax: number;
  /** Default `kirin.ctl` in the directory that Kirin was started in. */
  controlSocket: string;
  /** Permission bits. Default 0o600. */
  controlSocketMode: number;
  /** Default false. */
  noBalance: boolean;
  controlSocketDisable: boolean;
  /** Default false. */
  controlSocketRequired: boolean;
  controlSocketReadonly: string | undefined;
  /** Permission bits. Default 0o666. */
  controlSocketReadonlyMode: number;
  /** Default 1 MiB. */
  controlRequestBytesMax: number;
  /** Default 16 MiB. */
  controlReplyBytesMax: number;
  /** Connections at once, of each socket. Default 64. */
  controlSessions: number;
  /** Default 300,000; 0: no limit. */
  controlIdleMs: number;
  /** Default 64. */
  controlQueue: number;
  /** Default 600,000. */
  controlCommandMs: number;
  /** Name or number; undefined: the arbiter's own. */
  user: string | undefined;
  /** Name or number; undefined: the user's. */
  group: string | undefined;
  /** Default false. */
  initgroups: boolean;
  /** Default false. */
  daemon: boolean;
  /** HOST:PORT of the inspector's page; undefined: it is not served. */
  inspector: string | undefined;
  /** Default false. */
  inspectorAllowRemote: boolean;
  inspectorToken: string | undefined;
  /** Default false. */
  inspectorControl: boolean;
  inspectorRecord: string | undefined;
  /** Default 32 MiB. */
  inspectorRecordBytesMax: number;
  /** "-": standard output; undefined: none. */
  accessLogfile: string | undefined;
  /** Default the combined format. */
  accessLogformat: string;
  /** Undefined: no TLS. */
  certfile: string | undefined;
  /** Undefined: in the certificate's file. */
  keyfile: string | undefined;
  caCerts: string | undefined;
  /** Default `none`. */
  certReqs: 'none' | 'optional' | 'required';
  ciphers: string | undefined;
  /** Default `TLSv1.2`. */
  sslMinVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Default `TLSv1.3`. */
  sslMaxVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Default false. */
  http2: boolean;
  /** Default 100. */
  http2Streams: number;
  /** Undefined: Node's own 16 KiB. */
  maxHeaderBytes: number | undefined;
  /** Undefined: Node's own 60,000. */
  headersTimeoutMs: number | undefined;
  /** Undefined: Node's own 300,000. */
  requestTimeoutMs: number | undefined;
  /** Default `off`. */
  proxyProtocol: 'off' | 'v1' | 'v2' | 'auto';
  /** Addresses and networks, or `*`, with commas between them; default the machine itself. */
  proxyAllowIps: string;
  /** HOST:PORT or unix:PATH of /metrics, /healthz and /readyz; undefined: they are not served. */
  metrics: string | undefined;
  /** HOST:PORT; undefined: nothing is sent. */
  statsdHost: string | undefined;
  /** Default empty. */
  statsdPrefix: string;
  /** Default empty. */
  dogstatsdTags: string;
}

export const CONTROL_SOCKET = 'kirin.ctl';

export const DEFAULTS: Omit<Settings, 'app'> = {
  ...DEVELOPMENT_DEFAULTS,
  ...HEADERS_DEFAULTS,
  args: [],
  ipv6Only: false,
  bind: ['127.0.0.1:8000'],
  backlog: 2048,
  workers: 1,
  timeoutMs: 30_000,
  bootTimeoutMs: 60_000,
  gracefulTimeoutMs: 30_000,
  keepAliveMs: undefined,
  idleGraceMs: 2000,
  lameDuckMs: 0,
  maxRequests: 0,
  maxRequestsJitter: 0,
  maxMemoryBytes: 0,
  maxMemoryHardBytes: 0,
  onUncaught: 'exit',
  hangStack: false,
  inspect: undefined,
  maxSurge: { count: 1 },
  reloadSettleMs: 1000,
  chdir: undefined,
  envFile: [],
  env: {},
  logLevel: 'info',
  logFormat: 'text',
  errorLogfile: '-',
  pid: undefined,
  ...PROCESS_DEFAULTS,
  ...PRIORITY_DEFAULTS,
  ...SYSLOG_DEFAULTS,
  ...TRAFFIC_DEFAULTS,
  ...TRANSPORTS_DEFAULTS,
  workersMax: Math.max(64, 4 * availableParallelism()),
  dirtyApps: [],
  dirtyWorkers: 0,
  dirtyTimeoutMs: 300_000,
  dirtyThreads: 1,
  dirtyGracefulTimeoutMs: 30_000,
  dirtyQueue: 1000,
  hooks: undefined,
  hookTimeoutMs: 30_000,
  dirtyResources: {},
  dirtyStashBytesMax: 64 * 1024 ** 2,
  controlSocket: CONTROL_SOCKET,
  controlSocketMode: 0o600,
  noBalance: false,
  controlSocketDisable: false,
  controlSocketRequired: false,
  controlSocketReadonly: undefined,
  controlSocketReadonlyMode: 0o666,
  controlRequestBytesMax: 1024 ** 2,
  controlReplyBytesMax: 16 * 1024 ** 2,
  controlSessions: 64,
  controlIdleMs: 300_000,
  controlQueue: 64,
  controlCommandMs: 600_000,
  user: undefined,
  group: undefined,
  initgroups: false,
  daemon: false,
  inspector: undefined,
  inspectorAllowRemote: false,
  inspectorToken: undefined,
  inspectorControl: false,
  inspectorRecord: undefined,
  inspectorRecordBytesMax: 32 * 1024 ** 2,
  accessLogfile: undefined,
  accessLogformat: DEFAULT_FORMAT,
  certfile: undefined,
  keyfile: undefined,
  caCerts: undefined,
  certReqs: 'none',
  ciphers: undefined,
  sslMinVersion: 'TLSv1.2',
  sslMaxVersion: 'TLSv1.3',
  http2: false,
  http2Streams: 100,
  maxHeaderBytes: undefined,
  headersTimeoutMs: undefined,
  requestTimeoutMs: undefined,
  proxyProtocol: 'off',
  proxyAllowIps: '127.0.0.1,::1',
  metrics: undefined,
  statsdHost: undefined,
  statsdPrefix: '',
  dogstatsdTags: '',
};
