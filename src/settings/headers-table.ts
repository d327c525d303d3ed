/** The settings of what the heads of requests say that came through proxies: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'TLS and HTTP';
/** New workers have it. */
const reloadable = true;

/** Their values, resolved. */
export interface HeadersSettings {
  /** Undefined: headers of proxies pass as they came, whoever sends them. */
  forwardedAllowIps: string[] | undefined;
  /** Undefined: Gunicorn's own three. */
  secureSchemeHeaders: Record<string, string> | undefined;
  /** Undefined: SCRIPT_NAME and PATH_INFO. */
  forwarderHeaders: string[] | undefined;
  /** Default `dangerous`. */
  headerMap: 'drop' | 'refuse' | 'dangerous';
  /** As typed. */
  rootPath: string | undefined;
}

export const HEADERS_DEFAULTS: HeadersSettings = {
  forwardedAllowIps: undefined,
  secureSchemeHeaders: undefined,
  forwarderHeaders: undefined,
  headerMap: 'dangerous',
  rootPath: undefined,
};

export const HEADERS_SETTINGS = {
  /** Gunicorn's list of the same name is always in force there, and decides on the scheme alone. */
  forwardedAllowIps: {
    name: 'forwarded_allow_ips',
    flag: 'forwarded-allow-ips',
    fieldVariable: 'FORWARDED_ALLOW_IPS',
    type: { kind: 'texts' },
    defaultText: 'whoever sends them',
    group,
    text: 'Proxies whose X-Forwarded-… headers the app sees: addresses and networks with commas between them, or *',
    reloadable,
  },
  secureSchemeHeaders: {
    name: 'secure_scheme_headers',
    flag: 'secure-scheme-headers',
    type: { kind: 'pairs' },
    defaultText: 'X-FORWARDED-PROTOCOL=ssl, X-FORWARDED-PROTO=https, X-FORWARDED-SSL=on',
    group,
    text: 'Headers by which they say that a client came by TLS, NAME=VALUE; may be repeated',
    reloadable,
  },
  forwarderHeaders: {
    name: 'forwarder_headers',
    flag: 'forwarder-headers',
    type: { kind: 'texts' },
    defaultText: 'SCRIPT_NAME,PATH_INFO',
    group,
    text: 'Other headers that only they may send, with commas between them',
    reloadable,
  },
  headerMap: {
    name: 'header_map',
    flag: 'header-map',
    type: { kind: 'choice', of: ['drop', 'refuse', 'dangerous'] },
    defaultText: 'dangerous',
    group,
    text: 'Headers with an underscore in their name: drop them, refuse the request, or let them pass (dangerous)',
    reloadable,
    public: true,
  },
  rootPath: {
    name: 'root_path',
    flag: 'root-path',
    type: { kind: 'text', lengthMax: 1024 },
    group,
    text: 'Path that the app is mounted at, such as /shop: taken off req.url where it begins so',
    reloadable,
    public: true,
  },
} as const satisfies Record<string, Setting>;
