/** What settings say of the heads of requests, for workers. Runs in the arbiter. */
import type { EdgeSpec } from '../../machines/events/worker.ts';
import { splitList } from '../../settings/networks.ts';
import type { Settings } from '../../settings.ts';

export type HeadSpec = NonNullable<EdgeSpec['heads']>;

type Told = Pick<
  Settings,
  'forwardedAllowIps' | 'secureSchemeHeaders' | 'forwarderHeaders' | 'headerMap' | 'rootPath'
>;

/** Gunicorn's. */
const ALLOW = ['127.0.0.1', '::1'];
const FORWARDER = ['SCRIPT_NAME', 'PATH_INFO'];
const SCHEMES = { 'X-FORWARDED-PROTOCOL': 'ssl', 'X-FORWARDED-PROTO': 'https', 'X-FORWARDED-SSL': 'on' };

/** Undefined where nobody asked for anything: then requests go to the app as Node.js makes them. */
export function headsOf(settings: Told): HeadSpec | undefined {
  const { forwardedAllowIps, secureSchemeHeaders, forwarderHeaders, headerMap, rootPath } = settings;
  const guards = [forwardedAllowIps, secureSchemeHeaders, forwarderHeaders].some(
    (given) => given !== undefined,
  );
  if (!guards && headerMap === 'dangerous' && rootPath === undefined) return undefined;
  return {
    allow: forwardedAllowIps === undefined ? ALLOW : listIn(forwardedAllowIps),
    guards,
    schemes: secureSchemeHeaders ?? SCHEMES,
    forwarder: forwarderHeaders === undefined ? FORWARDER : listIn(forwarderHeaders),
    ...(headerMap === 'dangerous' ? {} : { underscores: headerMap }),
    ...(rootPath === undefined ? {} : { root: rootOf(rootPath) }),
  };
}

/** Each text may be a list itself. */
export const listIn = (texts: readonly string[]): string[] => texts.flatMap(splitList);

/** Without the slash at its end. */
export const rootOf = (path: string): string => path.replace(/\/$/, '');
