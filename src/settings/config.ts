/** What a configuration file may set. Made from the table of settings by `npm run settings`; runs nowhere. */

/** Keys as JavaScript writes them; `Config` has the other spellings. Each setting may be written once. */
export interface ConfigKeys {
  /** MODULE[:EXPORT]; the command line has the last word. */
  app?: string;
  /** HOST:PORT, PORT, [IPV6]:PORT, unix:PATH[?mode=0660&group=NAME] or fd://N; may be repeated. Default: 127.0.0.1:8000, or 0.0.0.0:$PORT. `--bind`, `KIRIN_BIND`. */
  bind?: number | string | (number | string)[];
  /** IPv6 addresses such as [::] take no IPv4 connections. `--ipv6-only`, `KIRIN_IPV6_ONLY`. A change needs a restart. */
  ipv6Only?: boolean;
  /** Argument for the app, in process.argv; may be repeated. Default: what stands behind --. `--args`. */
  args?: string | string[];
  /** Connections that may wait to be accepted. Default: 2048. `--backlog`, `KIRIN_BACKLOG`. */
  backlog?: number;
  /** Seconds an idle connection is kept open. Default: the app's own, else 75. `--keep-alive`, `KIRIN_KEEP_ALIVE`. */
  keepalive?: number;
  /** Leave connections where they are, however uneven, and let all workers accept, however many. `--no-balance`, `KIRIN_NO_BALANCE`. */
  noBalance?: boolean;
  /** Number of worker processes; "auto": one for each core that the machine and its container allow. Default: 1, or $WEB_CONCURRENCY. `--workers`, `KIRIN_WORKERS`. */
  workers?: number | 'auto';
  /** The most workers that orders (worker add, TTIN) can reach. Default: 4 for each core, at least 64. `--workers-max`, `KIRIN_WORKERS_MAX`. A change needs a restart. */
  workersMax?: number;
  /** Seconds an event loop may be blocked before its worker is replaced; 0: no limit. Default: 30. `--timeout`, `KIRIN_TIMEOUT`. */
  timeout?: number;
  /** Seconds a worker may take until it is ready; 0: no limit. Default: 60. `--boot-timeout`, `KIRIN_BOOT_TIMEOUT`. */
  bootTimeout?: number;
  /** Requests after which a worker is replaced; 0: never. Default: 0. `--max-requests`, `KIRIN_MAX_REQUESTS`. */
  maxRequests?: number;
  /** Up to so many requests more, at random, so that not all are replaced at once. Default: 0. `--max-requests-jitter`, `KIRIN_MAX_REQUESTS_JITTER`. */
  maxRequestsJitter?: number;
  /** Memory of a worker, such as 512M, beyond which it is replaced; "auto": its share of the container's; 0: no limit. Default: 0. `--max-memory`, `KIRIN_MAX_MEMORY`. */
  maxMemory?: number | string;
  /** Memory of a worker beyond which it is killed; 0: no limit. Default: 0. `--max-memory-hard`, `KIRIN_MAX_MEMORY_HARD`. */
  maxMemoryHard?: number | string;
  /** What an uncaught error does: exit at once, or drain: answer what is in flight first. Default: exit. `--on-uncaught`, `KIRIN_ON_UNCAUGHT`. */
  onUncaught?: 'exit' | 'drain';
  /** Log where a worker hangs before it is killed; a thread in each worker. `--hang-stack`, `KIRIN_HANG_STACK`. */
  hangStack?: boolean;
  /** A debugger port for each worker, from 127.0.0.1:9229 on unless HOST:PORT or PORT follows. Default: off. `--inspect`, `KIRIN_INSPECT`. */
  inspect?: boolean | number | string;
  /** Workers started beyond the number during a reload: a count, or a share such as 25%. Default: 1. `--max-surge`, `KIRIN_MAX_SURGE`. */
  maxSurge?: number | `${number}%`;
  /** Seconds new workers must stay ready before old ones are retired. Default: 1. `--reload-settle`, `KIRIN_RELOAD_SETTLE`. */
  reloadSettle?: number;
  /** Seconds a hook of the configuration may take; 0: no limit. Default: 30. `--hook-timeout`, `KIRIN_HOOK_TIMEOUT`. */
  hookTimeout?: number;
  /** Seconds a worker may take to finish what it is answering. Default: 30. `--graceful-timeout`, `KIRIN_GRACEFUL_TIMEOUT`. */
  gracefulTimeout?: number;
  /** Seconds idle connections are kept while a worker finishes. Default: 2. `--idle-grace`, `KIRIN_IDLE_GRACE`. */
  idleGrace?: number;
  /** Seconds to serve on, but not ready, after an order to stop gracefully. Default: 0. `--lame-duck`, `KIRIN_LAME_DUCK`. A change needs a restart. */
  lameDuck?: number;
  /** Directory to run the app in. `--chdir`, `KIRIN_CHDIR`. */
  chdir?: string;
  /** NAME=VALUE for the workers; may be repeated. `--env`. */
  rawEnv?: Record<string, string> | string | string[];
  /** File of NAME=VALUE lines, read again at each reload; may be repeated. `--env-file`, `KIRIN_ENV_FILE`. */
  envFile?: string | string[];
  /** debug, info, warn or error. Default: info. `--log-level`, `KIRIN_LOG_LEVEL`. A change needs a restart. */
  loglevel?: 'debug' | 'info' | 'warn' | 'error';
  /** text or json. Default: text. `--log-format`, `KIRIN_LOG_FORMAT`. A change needs a restart. */
  logFormat?: 'text' | 'json';
  /** File for a line about each request; "-": stdout. Default: none. `--access-logfile`, `KIRIN_ACCESS_LOGFILE`. */
  accesslog?: string;
  /** Its lines, of atoms such as %(h)s, or "json". Default: the combined format. `--access-logformat`, `KIRIN_ACCESS_LOGFORMAT`. */
  accessLogFormat?: string;
  /** File for the log of Kirin itself; "-": stderr. Default: -. `--error-logfile`, `KIRIN_ERROR_LOGFILE`. A change needs a restart. */
  errorlog?: string;
  /** File to write the process id to. `--pid`, `KIRIN_PID`. A change needs a restart. */
  pidfile?: string;
  /** Send both logs to a syslog server as well. `--syslog`, `KIRIN_SYSLOG`. A change needs a restart. */
  syslog?: boolean;
  /** Where it is: udp://HOST[:PORT], tcp://HOST[:PORT] or unix:PATH of a stream socket. Default: udp://localhost:514. `--syslog-to`, `KIRIN_SYSLOG_TO`. A change needs a restart. */
  syslogAddr?: string;
  /** What the server is called there (APP-NAME). Default: kirin. `--syslog-prefix`, `KIRIN_SYSLOG_PREFIX`. A change needs a restart. */
  syslogPrefix?: string;
  /** user, daemon, local0 to local7 or another facility of syslog. Default: user. `--syslog-facility`, `KIRIN_SYSLOG_FACILITY`. A change needs a restart. */
  syslogFacility?: 'kern' | 'user' | 'mail' | 'daemon' | 'auth' | 'syslog' | 'lpr' | 'news' | 'uucp' | 'cron' | 'authpriv' | 'ftp' | 'local0' | 'local1' | 'local2' | 'local3' | 'local4' | 'local5' | 'local6' | 'local7';
  /** Send no lines about requests there. `--disable-redirect-access-to-syslog`, `KIRIN_DISABLE_REDIRECT_ACCESS_TO_SYSLOG`. A change needs a restart. */
  disableRedirectAccessToSyslog?: boolean;
  /** Module of winston transports that get Kirin's log as well; may be repeated. `--log-transport`, `KIRIN_LOG_TRANSPORT`. A change needs a restart. */
  logTransports?: string | string[];
  /** Certificate (PEM, with its chain): serve TLS; read again at each reload. `--certfile`, `KIRIN_CERTFILE`. */
  certfile?: string;
  /** Its private key (PEM). Default: the certificate file. `--keyfile`, `KIRIN_KEYFILE`. */
  keyfile?: string;
  /** Certificates (PEM) that those of clients are checked against. `--ca-certs`, `KIRIN_CA_CERTS`. */
  caCerts?: string;
  /** Whether clients are asked for a certificate: none, optional or required; also 0, 1, 2. Default: none. `--cert-reqs`, `KIRIN_CERT_REQS`. */
  certReqs?: 'none' | 'optional' | 'required';
  /** Ciphers that are offered, as OpenSSL writes them. Default: Node.js's own. `--ciphers`, `KIRIN_CIPHERS`. */
  ciphers?: string;
  /** The oldest version of TLS that is spoken. Default: TLSv1.2. `--ssl-min-version`, `KIRIN_SSL_MIN_VERSION`. */
  sslMinVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** The newest version of TLS that is spoken. Default: TLSv1.3. `--ssl-max-version`, `KIRIN_SSL_MAX_VERSION`. */
  sslMaxVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Speak HTTP/2 with those who can (needs TLS), HTTP/1.1 with the others. `--http2`, `KIRIN_HTTP2`. */
  http2?: boolean;
  /** Requests at once on one HTTP/2 connection. Default: 100. `--http2-max-concurrent-streams`, `KIRIN_HTTP2_MAX_CONCURRENT_STREAMS`. */
  http2MaxConcurrentStreams?: number;
  /** Size of the head of a request, request line included; answered with 431 beyond. Default: 16K. `--max-header-size`, `KIRIN_MAX_HEADER_SIZE`. */
  maxHeaderSize?: number | string;
  /** Seconds the head of a request may take to arrive; 0: no limit. Default: 60. `--headers-timeout`, `KIRIN_HEADERS_TIMEOUT`. */
  headersTimeout?: number;
  /** Seconds a whole request, its body included, may take to arrive; 0: no limit. Default: 300. `--request-timeout`, `KIRIN_REQUEST_TIMEOUT`. */
  requestTimeout?: number;
  /** Connections begin with a head of the PROXY protocol of this version; auto: of either. Default: off. `--proxy-protocol`, `KIRIN_PROXY_PROTOCOL`. */
  proxyProtocol?: 'off' | 'v1' | 'v2' | 'auto';
  /** Proxies that may connect then: addresses and networks with commas between them, or *. Default: 127.0.0.1,::1. `--proxy-allow-from`, `KIRIN_PROXY_ALLOW_FROM`. */
  proxyAllowIps?: string;
  /** Proxies whose X-Forwarded-… headers the app sees: addresses and networks with commas between them, or *. Default: whoever sends them. `--forwarded-allow-ips`, `KIRIN_FORWARDED_ALLOW_IPS`. */
  forwardedAllowIps?: string | string[];
  /** Headers by which they say that a client came by TLS, NAME=VALUE; may be repeated. Default: X-FORWARDED-PROTOCOL=ssl, X-FORWARDED-PROTO=https, X-FORWARDED-SSL=on. `--secure-scheme-headers`, `KIRIN_SECURE_SCHEME_HEADERS`. */
  secureSchemeHeaders?: Record<string, string> | string | string[];
  /** Other headers that only they may send, with commas between them. Default: SCRIPT_NAME,PATH_INFO. `--forwarder-headers`, `KIRIN_FORWARDER_HEADERS`. */
  forwarderHeaders?: string | string[];
  /** Headers with an underscore in their name: drop them, refuse the request, or let them pass (dangerous). Default: dangerous. `--header-map`, `KIRIN_HEADER_MAP`. */
  headerMap?: 'drop' | 'refuse' | 'dangerous';
  /** Path that the app is mounted at, such as /shop: taken off req.url where it begins so. `--root-path`, `KIRIN_ROOT_PATH`. */
  rootPath?: string;
  /** Prometheus metrics, /healthz and /readyz, at 127.0.0.1:9180 unless HOST:PORT, PORT or unix:PATH follows. Default: off. `--metrics`, `KIRIN_METRICS`. A change needs a restart. */
  metrics?: boolean | number | string;
  /** Send what is counted to statsd, at 127.0.0.1:8125 unless HOST:PORT or PORT follows. Default: off. `--statsd-host`, `KIRIN_STATSD_HOST`. A change needs a restart. */
  statsdHost?: boolean | number | string;
  /** Before each name that is sent to statsd. Default: none. `--statsd-prefix`, `KIRIN_STATSD_PREFIX`. A change needs a restart. */
  statsdPrefix?: string;
  /** Tags for DogStatsD, such as env:prod,team:web. Default: none. `--dogstatsd-tags`, `KIRIN_DOGSTATSD_TAGS`. A change needs a restart. */
  dogstatsdTags?: string;
  /** Connections a worker may have open; more go to others or wait; 0: no limit, an idle one costs next to nothing. Default: 0. `--worker-connections`, `KIRIN_WORKER_CONNECTIONS`. */
  workerConnections?: number;
  /** Share TCP ports with other servers of the same user (SO_REUSEPORT; Node.js 22.12 or later, not on macOS). `--reuse-port`, `KIRIN_REUSE_PORT`. A change needs a restart. */
  reusePort?: boolean;
  /** Tell how many connections wait to be accepted, for each TCP address (Linux). `--enable-backlog-metric`, `KIRIN_ENABLE_BACKLOG_METRIC`. A change needs a restart. */
  enableBacklogMetric?: boolean;
  /** What the processes are called in ps and top. Default: the app. `--proc-name`, `KIRIN_PROC_NAME`. A change needs a restart. */
  procName?: string;
  /** Permission bits that new files and sockets are not given, octal. Default: inherited. `--umask`, `KIRIN_UMASK`. A change needs a restart. */
  umask?: number | string;
  /** Option of Node.js for each worker, such as --expose-gc; may be repeated. `--node-arg`. */
  nodeArgs?: string | string[];
  /** Largest JavaScript heap of a worker, in MiB. Default: as Node.js has it. `--max-old-space-size`, `KIRIN_MAX_OLD_SPACE_SIZE`. */
  maxOldSpaceSize?: number;
  /** Threads of a worker for files, DNS and cryptography. Default: as Node.js has it: 4. `--threadpool-size`, `KIRIN_THREADPOOL_SIZE`. */
  threadpoolSize?: number;
  /** Module that each worker imports before everything else; may be repeated. `--preload`, `KIRIN_PRELOAD`. */
  preload?: string | string[];
  /** Directory of nobody else for compiled code of workers, which start faster (Node.js 22.1). `--compile-cache`, `KIRIN_COMPILE_CACHE`. */
  compileCache?: string;
  /** Put what workers print into the log, line by line. `--capture-output`, `KIRIN_CAPTURE_OUTPUT`. A change needs a restart. */
  captureOutput?: boolean;
  /** Steps of niceness by which the arbiter goes before its workers, where it may; 0: none. Default: 10. `--arbiter-priority`, `KIRIN_ARBITER_PRIORITY`. A change needs a restart. */
  arbiterPriority?: number;
  /** User that workers run as, by name or number; only root can give another. Default: the arbiter's. `--user`, `KIRIN_USER`. A change needs a restart. */
  user?: string;
  /** Group that workers run as, by name or number. Default: the user's. `--group`, `KIRIN_GROUP`. A change needs a restart. */
  group?: string;
  /** Workers are in every group that their user is a member of. `--initgroups`, `KIRIN_INITGROUPS`. A change needs a restart. */
  initgroups?: boolean;
  /** Detach from the terminal; returns once the server serves, or has failed to. `--daemon`, `KIRIN_DAEMON`. A change needs a restart. */
  daemon?: boolean;
  /** MODULE:CLASS[:N], loaded by N dirty workers or by all; may be repeated. `--dirty-app`, `KIRIN_DIRTY_APP`. */
  dirtyApps?: string | string[];
  /** Number of dirty workers; 0: no dirty arbiter. Default: 0. `--dirty-workers`, `KIRIN_DIRTY_WORKERS`. */
  dirtyWorkers?: number;
  /** Seconds a call may take; 0: no limit. Default: 300. `--dirty-timeout`, `KIRIN_DIRTY_TIMEOUT`. */
  dirtyTimeout?: number;
  /** Calls at once in one dirty worker. Default: 1. `--dirty-threads`, `KIRIN_DIRTY_THREADS`. */
  dirtyThreads?: number;
  /** Seconds a leaving dirty worker may take, and a call after its deadline. Default: 30. `--dirty-graceful-timeout`, `KIRIN_DIRTY_GRACEFUL_TIMEOUT`. */
  dirtyGracefulTimeout?: number;
  /** Calls of one app that may wait. Default: 1000. `--dirty-queue`, `KIRIN_DIRTY_QUEUE`. */
  dirtyQueue?: number;
  /** NAME=N: N tokens of what dirty apps hold, such as gpu=2; may be repeated. `--dirty-resource`, `KIRIN_DIRTY_RESOURCE`. */
  dirtyResources?: Record<string, number> | string | string[];
  /** Bytes that the stash may hold, or such as 1G. Default: 64M. `--dirty-stash-max`, `KIRIN_DIRTY_STASH_MAX`. A change needs a restart. */
  dirtyStashMax?: number | string;
  /** Start workers anew when a file of the app changes; for development. `--reload`, `KIRIN_RELOAD`. A change needs a restart. */
  reload?: boolean;
  /** How changes are noticed: as the system tells, by looking (poll), or by inotify alone. Default: auto. `--reload-engine`, `KIRIN_RELOAD_ENGINE`. A change needs a restart. */
  reloadEngine?: 'auto' | 'poll' | 'inotify';
  /** A file, or a pattern such as "views/**\/*.html", whose change counts too; may be repeated. `--reload-extra-file`, `KIRIN_RELOAD_EXTRA_FILE`. A change needs a restart. */
  reloadExtraFiles?: string | string[];
  /** Unix socket that kirinc talks to. Default: kirin.ctl. `--control-socket`, `KIRIN_CONTROL_SOCKET`. A change needs a restart. */
  controlSocket?: string;
  /** Its permissions, octal. Default: 0600. `--control-socket-mode`, `KIRIN_CONTROL_SOCKET_MODE`. A change needs a restart. */
  controlSocketMode?: number | string;
  /** Open no control socket. `--no-control-socket`, `KIRIN_NO_CONTROL_SOCKET`. A change needs a restart. */
  controlSocketDisable?: boolean;
  /** End where it cannot be opened, instead of serving without. `--control-socket-required`, `KIRIN_CONTROL_SOCKET_REQUIRED`. A change needs a restart. */
  controlSocketRequired?: boolean;
  /** A second one that only answers show and help. `--control-socket-readonly`, `KIRIN_CONTROL_SOCKET_READONLY`. A change needs a restart. */
  controlSocketReadonly?: string;
  /** Its permissions, octal. Default: 0666. `--control-socket-readonly-mode`, `KIRIN_CONTROL_SOCKET_READONLY_MODE`. A change needs a restart. */
  controlSocketReadonlyMode?: number | string;
  /** Largest request in bytes, or such as 64K. Default: 1M. `--control-request-max`, `KIRIN_CONTROL_REQUEST_MAX`. A change needs a restart. */
  controlRequestMax?: number | string;
  /** Largest reply in bytes, or such as 4M. Default: 16M. `--control-reply-max`, `KIRIN_CONTROL_REPLY_MAX`. A change needs a restart. */
  controlReplyMax?: number | string;
  /** Connections at once. Default: 64. `--control-sessions`, `KIRIN_CONTROL_SESSIONS`. A change needs a restart. */
  controlSessions?: number;
  /** Seconds after which a silent connection is closed; 0: never. Default: 300. `--control-idle-timeout`, `KIRIN_CONTROL_IDLE_TIMEOUT`. A change needs a restart. */
  controlIdleTimeout?: number;
  /** Commands of one connection that may wait. Default: 64. `--control-queue`, `KIRIN_CONTROL_QUEUE`. A change needs a restart. */
  controlQueue?: number;
  /** Seconds that a command with --wait may take. Default: 600. `--control-command-timeout`, `KIRIN_CONTROL_COMMAND_TIMEOUT`. A change needs a restart. */
  controlCommandTimeout?: number;
  /** Serve the live inspector, at 127.0.0.1:8780 unless HOST:PORT or PORT follows. Default: off. `--inspector`, `KIRIN_INSPECTOR`. A change needs a restart. */
  inspector?: boolean | number | string;
  /** Let it be served on another address than a loopback one; needs a token. `--inspector-allow-remote`, `KIRIN_INSPECTOR_ALLOW_REMOTE`. A change needs a restart. */
  inspectorAllowRemote?: boolean;
  /** Who opens the page must know it; better given as $KIRIN_INSPECTOR_TOKEN. `--inspector-token`, `KIRIN_INSPECTOR_TOKEN`. A change needs a restart. */
  inspectorToken?: string;
  /** Let the page add, remove, kill and reload workers. `--inspector-control`, `KIRIN_INSPECTOR_CONTROL`. A change needs a restart. */
  inspectorControl?: boolean;
  /** Keep what happened in this file, for "kirin inspect FILE". `--inspector-record`, `KIRIN_INSPECTOR_RECORD`. A change needs a restart. */
  inspectorRecord?: string;
  /** How much is kept there, in bytes, or such as 64M. Default: 32M. `--inspector-record-max`, `KIRIN_INSPECTOR_RECORD_MAX`. A change needs a restart. */
  inspectorRecordMax?: number | string;
}

/** Other names of the same. */
export interface OtherKeys {
  keepAlive: 'keepalive';
  env: 'rawEnv';
  logLevel: 'loglevel';
  accessLogfile: 'accesslog';
  accessLogformat: 'accessLogFormat';
  errorLogfile: 'errorlog';
  pid: 'pidfile';
  syslogTo: 'syslogAddr';
  logTransport: 'logTransports';
  proxyAllowFrom: 'proxyAllowIps';
  nodeArg: 'nodeArgs';
  dirtyApp: 'dirtyApps';
  dirtyResource: 'dirtyResources';
  reloadExtraFile: 'reloadExtraFiles';
  noControlSocket: 'controlSocketDisable';
}
