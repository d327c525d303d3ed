/**
 * Every setting, once: what it is called on the command line, in the environment and in the configuration file,
 * what it takes and what it means. Options, `--help`, variables, keys and the reference are derived from it.
 */
import { camel } from './camel.ts';
import { CONTROL_SETTINGS } from './control-table.ts';
import { DEVELOPMENT_SETTINGS } from './development-table.ts';
import { DIRTY_SETTINGS } from './dirty-table.ts';
import { EDGE_SETTINGS } from './edge-table.ts';
import { HEADERS_SETTINGS } from './headers-table.ts';
import { INSPECTOR_SETTINGS } from './inspector-table.ts';
import { METRICS_SETTINGS } from './metrics-table.ts';
import { PRIORITY_SETTINGS } from './priority-table.ts';
import { PRIVILEGES_SETTINGS } from './privileges-table.ts';
import { PROCESS_SETTINGS } from './process-table.ts';
import { SYSLOG_SETTINGS } from './syslog-table.ts';
import { TRAFFIC_SETTINGS } from './traffic-table.ts';
import { TRANSPORTS_SETTINGS } from './transports-table.ts';
import { WATCHING_SETTINGS } from './watching-table.ts';

/** What a setting takes; `parse.ts` reads each kind. */
export type Kind =
  /** A relative path is taken from where it was written (see `settings.ts`); `stdio` allows "-". */
  | { kind: 'path'; stdio?: boolean }
  | { kind: 'count'; min: number; max: number }
  /** A number of processes, or "auto". */
  | { kind: 'workers' }
  /** Given in seconds, decimals allowed; kept in milliseconds. */
  | { kind: 'seconds'; min: number; max: number }
  /** `numbered`: the place in the list, from 0, is understood too, where Gunicorn has numbers. */
  | { kind: 'choice'; of: readonly string[]; numbered?: true }
  /** A number of workers, or a share of them such as "25%". */
  | { kind: 'surge' }
  /** A number of bytes, as text also with K, M or G; with `auto` also that word. */
  | { kind: 'bytes'; min: number; max: number; auto?: true }
  /** Permissions of a file: octal as text, bits as a number. */
  | { kind: 'mode' }
  /** One line of text. */
  | { kind: 'label'; lengthMax: number }
  /** On or off; on the command line it takes no value. */
  | { kind: 'switch' }
  | { kind: 'addresses' }
  /** HOST:PORT or PORT, with `unix` also unix:PATH; on or true stands for `byDefault`, off or false for none. On the command line a value is optional. */
  | { kind: 'endpoint'; byDefault: string; unix?: true }
  /** One text of printable characters. */
  | { kind: 'text'; lengthMax: number }
  /** A secret word, never shown. */
  | { kind: 'token'; lengthMin: number; lengthMax: number }
  | { kind: 'paths' }
  | { kind: 'texts' }
  /** Texts as they are, empty ones too. */
  | { kind: 'words' }
  /** NAME=N pairs, N a whole number from 1. */
  | { kind: 'amounts' }
  /** NAME=VALUE pairs. */
  | { kind: 'pairs' };

export type Group =
  | 'Serving'
  | 'Workers'
  | 'Reloading and stopping'
  | 'Environment'
  | 'Processes'
  | 'Logs and files'
  | 'TLS and HTTP'
  | 'Metrics and health'
  | 'Privileges'
  | 'Dirty workers'
  | 'Development'
  | 'Control'
  | 'Inspector';

export interface Setting {
  /** Gunicorn's name where it has the setting; the key in a configuration file, there also in camelCase. */
  name: string;
  /** Long option without the dashes, and its letter. */
  flag: string;
  letter?: string;
  /** Other long options that mean the same. */
  aliases?: readonly string[];
  /** False: no `KIRIN_…` variable. Default true: `KIRIN_` and the flag in capitals. */
  variable?: boolean;
  /** A variable that hosting platforms set; it counts less than the `KIRIN_…` one. */
  fieldVariable?: string;
  type: Kind;
  /** Shown in help; the value itself is in `defaults`. */
  defaultText?: string;
  group: Group;
  /** One line for `--help`. */
  text: string;
  /** Whether a reload may change it. */
  reloadable: boolean;
  /** Shown to everybody, on a read-only control socket too. */
  public?: true;
}

/** Node's timers hold 31 bits of milliseconds; a limit of 20 days is as good as none. */
const SECONDS_MAX = 20 * 24 * 3600;
const COUNT_MAX = 1_000_000_000;
/** More workers than this are a typing error. */
export const WORKERS_MAX = 1024;

const seconds = (min = 0): Kind => ({ kind: 'seconds', min, max: SECONDS_MAX });
const count = (min = 0, max = COUNT_MAX): Kind => ({ kind: 'count', min, max });

export const SETTINGS = {
  /** Where to listen; every address of the list is served by every worker. */
  bind: {
    name: 'bind',
    flag: 'bind',
    letter: 'b',
    type: { kind: 'addresses' },
    defaultText: '127.0.0.1:8000, or 0.0.0.0:$PORT',
    group: 'Serving',
    text: 'HOST:PORT, PORT, [IPV6]:PORT, unix:PATH[?mode=0660&group=NAME] or fd://N; may be repeated',
    reloadable: true,
    public: true,
  },
  /** Without it they take IPv4 connections too, whatever the system's own default is. */
  ipv6Only: {
    name: 'ipv6_only',
    flag: 'ipv6-only',
    type: { kind: 'switch' },
    group: 'Serving',
    text: 'IPv6 addresses such as [::] take no IPv4 connections',
    reloadable: false,
    public: true,
  },
  /** The app's own arguments; on the command line they stand behind `--`. */
  args: {
    name: 'args',
    flag: 'args',
    // A list of texts with commas in it could not be told from more of them.
    variable: false,
    type: { kind: 'words' },
    defaultText: 'what stands behind --',
    group: 'Serving',
    text: 'Argument for the app, in process.argv; may be repeated',
    reloadable: true,
  },
  /** Connections that wait in the kernel while no worker takes them; the system may have a lower limit. */
  backlog: {
    name: 'backlog',
    flag: 'backlog',
    type: count(1, 65_535),
    defaultText: '2048',
    group: 'Serving',
    text: 'Connections that may wait to be accepted',
    reloadable: true,
    public: true,
  },
  /** Longer than the idle time of a load balancer in front, which else meets closed connections. */
  keepAliveMs: {
    name: 'keepalive',
    flag: 'keep-alive',
    type: seconds(),
    defaultText: "the app's own, else 75",
    group: 'Serving',
    text: 'Seconds an idle connection is kept open',
    reloadable: true,
    public: true,
  },
  /** Clients of a worker that has more connections than its share are not asked to connect anew, and no worker rests. */
  noBalance: {
    name: 'no_balance',
    flag: 'no-balance',
    type: { kind: 'switch' },
    group: 'Serving',
    text: 'Leave connections where they are, however uneven, and let all workers accept, however many',
    reloadable: true,
    public: true,
  },
  workers: {
    name: 'workers',
    flag: 'workers',
    letter: 'w',
    fieldVariable: 'WEB_CONCURRENCY',
    type: { kind: 'workers' },
    defaultText: '1, or $WEB_CONCURRENCY',
    group: 'Workers',
    text: 'Number of worker processes; "auto": one for each core that the machine and its container allow',
    reloadable: true,
    public: true,
  },
  /** What an order can reach; where the settings ask for more workers, that is allowed too. */
  workersMax: {
    name: 'workers_max',
    flag: 'workers-max',
    type: count(1, WORKERS_MAX),
    defaultText: '4 for each core, at least 64',
    group: 'Workers',
    text: 'The most workers that orders (worker add, TTIN) can reach',
    reloadable: false,
    public: true,
  },
  /** Silence of the event loop, not the time of a request: a slow answer that awaits is no hang. */
  timeoutMs: {
    name: 'timeout',
    flag: 'timeout',
    letter: 't',
    type: seconds(),
    defaultText: '30',
    group: 'Workers',
    text: 'Seconds an event loop may be blocked before its worker is replaced; 0: no limit',
    reloadable: true,
    public: true,
  },
  bootTimeoutMs: {
    name: 'boot_timeout',
    flag: 'boot-timeout',
    type: seconds(),
    defaultText: '60',
    group: 'Workers',
    text: 'Seconds a worker may take until it is ready; 0: no limit',
    reloadable: true,
    public: true,
  },
  maxRequests: {
    name: 'max_requests',
    flag: 'max-requests',
    type: count(),
    defaultText: '0',
    group: 'Workers',
    text: 'Requests after which a worker is replaced; 0: never',
    reloadable: true,
    public: true,
  },
  maxRequestsJitter: {
    name: 'max_requests_jitter',
    flag: 'max-requests-jitter',
    type: count(),
    defaultText: '0',
    group: 'Workers',
    text: 'Up to so many requests more, at random, so that not all are replaced at once',
    reloadable: true,
    public: true,
  },
  ...WATCHING_SETTINGS,
  maxSurge: {
    name: 'max_surge',
    flag: 'max-surge',
    type: { kind: 'surge' },
    defaultText: '1',
    group: 'Reloading and stopping',
    text: 'Workers started beyond the number during a reload: a count, or a share such as 25%',
    reloadable: true,
    public: true,
  },
  reloadSettleMs: {
    name: 'reload_settle',
    flag: 'reload-settle',
    type: seconds(),
    defaultText: '1',
    group: 'Reloading and stopping',
    text: 'Seconds new workers must stay ready before old ones are retired',
    reloadable: true,
    public: true,
  },
  /** Of a hook that an arbiter calls; those in a worker have the boot limit. */
  hookTimeoutMs: {
    name: 'hook_timeout',
    flag: 'hook-timeout',
    type: seconds(),
    defaultText: '30',
    group: 'Workers',
    text: 'Seconds a hook of the configuration may take; 0: no limit',
    reloadable: true,
    public: true,
  },
  gracefulTimeoutMs: {
    name: 'graceful_timeout',
    flag: 'graceful-timeout',
    type: seconds(),
    defaultText: '30',
    group: 'Reloading and stopping',
    text: 'Seconds a worker may take to finish what it is answering',
    reloadable: true,
    public: true,
  },
  idleGraceMs: {
    name: 'idle_grace',
    flag: 'idle-grace',
    type: seconds(),
    defaultText: '2',
    group: 'Reloading and stopping',
    text: 'Seconds idle connections are kept while a worker finishes',
    reloadable: true,
    public: true,
  },
  /** For load balancers that ask /readyz, or are told by others, and need time to take notice. */
  lameDuckMs: {
    name: 'lame_duck',
    flag: 'lame-duck',
    type: seconds(),
    defaultText: '0',
    group: 'Reloading and stopping',
    text: 'Seconds to serve on, but not ready, after an order to stop gracefully',
    reloadable: false,
    public: true,
  },
  /** Read anew at each reload, symbolic links included, so that a deploy that moves a link is followed. */
  chdir: {
    name: 'chdir',
    flag: 'chdir',
    type: { kind: 'path' },
    group: 'Environment',
    text: 'Directory to run the app in',
    reloadable: true,
  },
  env: {
    name: 'raw_env',
    flag: 'env',
    letter: 'e',
    aliases: ['raw-env'],
    // KIRIN_ENV would be taken for the name of an environment, as in RAILS_ENV.
    variable: false,
    type: { kind: 'pairs' },
    group: 'Environment',
    text: 'NAME=VALUE for the workers; may be repeated',
    reloadable: true,
  },
  envFile: {
    name: 'env_file',
    flag: 'env-file',
    type: { kind: 'paths' },
    group: 'Environment',
    text: 'File of NAME=VALUE lines, read again at each reload; may be repeated',
    reloadable: true,
  },
  logLevel: {
    name: 'loglevel',
    flag: 'log-level',
    type: { kind: 'choice', of: ['debug', 'info', 'warn', 'error'] },
    defaultText: 'info',
    group: 'Logs and files',
    text: 'debug, info, warn or error',
    reloadable: false,
    public: true,
  },
  logFormat: {
    name: 'log_format',
    flag: 'log-format',
    type: { kind: 'choice', of: ['text', 'json'] },
    defaultText: 'text',
    group: 'Logs and files',
    text: 'text or json',
    reloadable: false,
    public: true,
  },
  accessLogfile: {
    name: 'accesslog',
    flag: 'access-logfile',
    type: { kind: 'path', stdio: true },
    defaultText: 'none',
    group: 'Logs and files',
    text: 'File for a line about each request; "-": stdout',
    reloadable: true,
  },
  /** Made a function once, in each worker. */
  accessLogformat: {
    name: 'access_log_format',
    flag: 'access-logformat',
    type: { kind: 'text', lengthMax: 4096 },
    defaultText: 'the combined format',
    group: 'Logs and files',
    text: 'Its lines, of atoms such as %(h)s, or "json"',
    reloadable: true,
  },
  errorLogfile: {
    name: 'errorlog',
    flag: 'error-logfile',
    aliases: ['log-file'],
    type: { kind: 'path', stdio: true },
    defaultText: '-',
    group: 'Logs and files',
    text: 'File for the log of Kirin itself; "-": stderr',
    reloadable: false,
  },
  pid: {
    name: 'pidfile',
    flag: 'pid',
    letter: 'p',
    type: { kind: 'path' },
    group: 'Logs and files',
    text: 'File to write the process id to',
    reloadable: false,
  },
  ...SYSLOG_SETTINGS,
  ...TRANSPORTS_SETTINGS,
  ...EDGE_SETTINGS,
  ...HEADERS_SETTINGS,
  ...METRICS_SETTINGS,
  ...TRAFFIC_SETTINGS,
  ...PROCESS_SETTINGS,
  ...PRIORITY_SETTINGS,
  ...PRIVILEGES_SETTINGS,
  ...DIRTY_SETTINGS,
  ...DEVELOPMENT_SETTINGS,
  ...CONTROL_SETTINGS,
  ...INSPECTOR_SETTINGS,
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof SETTINGS;

/** The table as a list, for everything that is derived from it. */
export const settingList: readonly (Setting & { key: SettingKey })[] = Object.entries(SETTINGS).map(
  ([key, setting]) => ({ ...(setting as Setting), key: key as SettingKey }),
);

/** The `KIRIN_…` variable of a setting, where it has one. */
export const variableOf = (setting: Setting): string | undefined =>
  setting.variable === false ? undefined : `KIRIN_${setting.flag.replaceAll('-', '_').toUpperCase()}`;

/** The keys a configuration file may use: Gunicorn's name and the flag's, each in snake_case and camelCase. */
export const fileKeysOf = (setting: Setting): string[] => [
  ...new Set([setting.name, setting.flag.replaceAll('-', '_')].flatMap((name) => [name, camel(name)])),
];
