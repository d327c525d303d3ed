/** What no header is called, no proxy comes from and no app is mounted at. Runs in the arbiter, when settings are read. */
import { listIn } from '../actors/heads/spec.ts';
import type { HeadersSettings } from './headers-table.ts';
import { badNetwork } from './networks.ts';
import { invalid } from './parse.ts';

/** A token, as HTTP has it. */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** Throws FaultError `settings.invalid`. */
export function refuseHeadersSettings(settings: HeadersSettings): void {
  const { forwardedAllowIps, secureSchemeHeaders, forwarderHeaders, rootPath } = settings;
  const network = badNetwork(listIn(forwardedAllowIps ?? []));
  if (network !== undefined)
    throw invalid(
      `--forwarded-allow-ips: "${network}" is neither an address nor a network such as 10.0.0.0/8, nor * for all`,
    );
  for (const [flag, names] of [
    ['--secure-scheme-headers', Object.keys(secureSchemeHeaders ?? {})],
    ['--forwarder-headers', listIn(forwarderHeaders ?? [])],
  ] as const) {
    const wrong = names.find((name) => !HEADER_NAME.test(name));
    if (wrong !== undefined) throw invalid(`${flag}: "${wrong}" is no name of a header`);
  }
  if (rootPath !== undefined && !/^(\/[^/?#\s]+)+\/?$/.test(rootPath))
    throw invalid(`--root-path must be a path such as /shop, not "${rootPath}"`);
}
