/** Log transports that are not there. Runs in the arbiter, when settings are read. */
import { missingTransport } from '../actors/log-transports/named.ts';
import type { Settings } from '../settings.ts';
import { invalid } from './parse.ts';

/** Each has a thread of its own. */
const TRANSPORTS_MAX = 8;

/** Throws FaultError `settings.invalid`. */
export function refuseTransports(settings: Pick<Settings, 'logTransports' | 'chdir'>): void {
  if (settings.logTransports.length > TRANSPORTS_MAX)
    throw invalid(
      `--log-transport: there may be ${TRANSPORTS_MAX} modules at most; one may export several transports`,
    );
  const missing = missingTransport(settings);
  if (missing)
    throw invalid(
      `--log-transport: there is no module "${missing.module}" in ${missing.directory}, and no such package for it`,
    );
}
