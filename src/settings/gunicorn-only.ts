/**
 * Settings of Gunicorn's that have no meaning here, each with the reason and with what there is instead: for whoever brings them
 * along, and for docs/not-applicable.md. One that becomes a setting of the table counts no more. Runs in the arbiter.
 */
import { settingList } from './table.ts';

/** Name, reason. A reason is a sentence without its full stop, and reads on after a colon. */
const REASONS: Readonly<Record<string, string>> = {
  asgi_disconnect_grace_period:
    'there is no ASGI: an app sees the end of its connection as a Node.js server does',
  asgi_lifespan:
    'there is no ASGI: what a module awaits at its top level is the start, and onClose of "kirin" the end',
  asgi_loop: 'Node.js has one event loop, its own',
  casefold_http_method: 'the HTTP parser of Node.js refuses methods it does not know, in any case',
  default_proc_name: 'it is not meant to be set: use proc_name',
  django_settings: 'there is no Django: an app is MODULE[:EXPORT]',
  do_handshake_on_connect:
    'Node.js makes the handshake as soon as a client connects, without holding up others',
  enable_stdio_inheritance:
    'workers have the standard output and error of Kirin; capture_output puts them into the log',
  http_parser: 'requests are read by the parser of Node.js',
  limit_request_field_size: 'the parser of Node.js has one bound for the whole head: use max_header_size',
  limit_request_fields:
    'Node.js would leave out the fields beyond it instead of refusing the request: use max_header_size',
  limit_request_line: 'the parser of Node.js has one bound for the whole head: use max_header_size',
  logconfig: 'it is a file of the logging module of Python: use errorlog, log_format and log_transports',
  logconfig_dict: 'it is of the logging module of Python: use errorlog, log_format and log_transports',
  logconfig_json: 'it is a file of the logging module of Python: use errorlog, log_format and log_transports',
  logger_class: 'it is a Python class: use errorlog, log_format and log_transports',
  paste: 'it is a way to load Python apps: an app is MODULE[:EXPORT]',
  permit_obsolete_folding: 'the HTTP parser of Node.js refuses folded headers',
  permit_unconventional_http_method: 'the HTTP parser of Node.js refuses methods it does not know',
  permit_unconventional_http_version: 'the HTTP parser of Node.js refuses versions it does not know',
  preload_app:
    'processes of Node.js are not forked, so that an app loaded once could not be shared: preload names modules that each worker imports first, and compile_cache makes that fast',
  pythonpath: 'modules are found by the rules of Node.js, from the directory of the app: use chdir',
  raw_paste_global_conf: 'it is a way to configure Python apps: use raw_env or args',
  sendfile: 'the app sends files by itself; none passes through Kirin',
  spew: 'it traces lines of Python: use inspect, a debugger port for each worker',
  ssl_version: 'Node.js speaks TLS 1.2 and 1.3 and nothing older',
  strip_header_spaces: 'the HTTP parser of Node.js refuses blanks before the colon of a header',
  suppress_ragged_eofs: 'it concerns the ssl module of Python',
  threads:
    'requests of one worker are answered at once by its event loop: use workers, and threadpool_size for files and DNS',
  tmp_upload_dir: 'bodies of requests are streamed to the app; none is kept in a file',
  uwsgi_allow_ips: 'the protocol of uWSGI is not spoken: let the proxy speak HTTP',
  worker_class: 'a worker runs the event loop of Node.js, whatever the app: use workers',
  worker_tmp_dir: 'heartbeats go over a socket pair, not through a file',
  wsgi_app: 'the app stands on the command line, in KIRIN_APP or under "app"',
};

const KNOWN = new Set<string>(settingList.map(({ name }) => name));

export const gunicornOnly: readonly (readonly [name: string, reason: string])[] = Object.entries(
  REASONS,
).filter(([name]) => !KNOWN.has(name));

const BY_NAME = new Map(gunicornOnly);

/** Letters and other names that Gunicorn's command line has for them. */
const FLAGS: Readonly<Record<string, string>> = {
  k: 'worker_class',
  log_config: 'logconfig',
  paster: 'paste',
};

/** Why a flag or key of Gunicorn's is none here, to follow its name; undefined for all others. */
export function whyNotHere(written: string): string | undefined {
  const snake = written.replaceAll('-', '_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const reason = BY_NAME.get(FLAGS[snake] ?? snake);
  return reason && `is Gunicorn's, and none of Kirin's: ${reason}`;
}

const HEAD = `# Settings of Gunicorn's that have no meaning here

Made from \`src/settings/gunicorn-only.ts\` by \`npm run settings\`; a test sees to it that it is current. Kirin refuses them, with the
reason, instead of doing as if they had an effect. What Kirin has of Gunicorn's settings has their names here too:
[settings.md](settings.md).

| Setting | Why not |
|---|---|
`;

/** docs/not-applicable.md */
export const notApplicableReference = (): string =>
  HEAD + gunicornOnly.map(([name, reason]) => `| \`${name}\` | ${capital(reason)}. |\n`).join('');

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1);
