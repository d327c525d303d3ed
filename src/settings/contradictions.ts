/**
 * Settings that are right each for itself and wrong together, or cannot be meant. Runs in the arbiter, when settings are read.
 * Every message says what would be right.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { isLoopback, parseAddress } from '../actors/address.ts';
import { compileFormat } from '../actors/requests/access-format.ts';
import { targetOf } from '../actors/syslog/message.ts';
import type { Settings } from '../settings.ts';
import { refuseHeadersSettings } from './headers-contradictions.ts';
import { badNetwork, splitList } from './networks.ts';
import { invalid } from './parse.ts';
import { refuseProcessSettings } from './process-contradictions.ts';
import { SYSLOG_DEFAULTS } from './syslog-table.ts';
import { refuseTrafficSettings } from './traffic-contradictions.ts';
import { refuseTransports } from './transports-contradictions.ts';
import { DEFAULTS } from './values.ts';

const PORT_MAX = 65_535;
/** A limit of memory below this is a number that lacks its unit. */
export const MEMORY_MIN = 16 * 1024 ** 2;

/** Throws FaultError `settings.invalid`. */
export function refuseContradictions(settings: Settings): void {
  if (settings.controlSocketDisable && settings.controlSocketRequired)
    throw invalid('--no-control-socket and --control-socket-required contradict each other: keep one');
  if (settings.dirtyWorkers > 0 && settings.dirtyApps.length === 0)
    throw invalid('--dirty-workers without an app to run: add --dirty-app MODULE:CLASS');
  if (settings.dirtyWorkers === 0 && settings.dirtyApps.length > 0)
    throw invalid('--dirty-app without workers to run it: add --dirty-workers N');
  if (!settings.controlSocketDisable && settings.controlSocketReadonly === settings.controlSocket)
    throw invalid('--control-socket and --control-socket-readonly must be two paths');
  refuseHalfTls(settings);
  // What is right by default takes a start milliseconds to look at.
  const network =
    settings.proxyAllowIps === DEFAULTS.proxyAllowIps
      ? undefined
      : badNetwork(splitList(settings.proxyAllowIps));
  if (network !== undefined)
    throw invalid(
      `--proxy-allow-from: "${network}" is neither an address nor a network such as 10.0.0.0/8, nor * for all`,
    );
  refuseHeadersSettings(settings);
  refuseFormat(settings);
  refuseSyslog(settings);
  refuseTransports(settings);
  if (settings.reload && settings.reloadEngine === 'inotify' && process.platform !== 'linux')
    throw invalid('--reload-engine inotify is of Linux alone: use auto, which does as the system does');
  if (settings.daemon && settings.reload)
    throw invalid('--reload is for the terminal of whoever writes the app: leave out --daemon');
  if (settings.daemon && settings.bind.some((address) => address.startsWith('fd://')))
    throw invalid(
      '--daemon leaves no descriptor open for fd://: whoever gives sockets starts Kirin without --daemon',
    );
  refuseTrafficSettings(settings);
  refuseWatching(settings);
  refuseProcessSettings(settings);
  refuseOpenInspector(settings);
}

function refuseHalfTls(settings: Settings): void {
  const { certfile, keyfile, caCerts, certReqs, ciphers, http2 } = settings;
  if (settings.sslMinVersion > settings.sslMaxVersion)
    throw invalid('--ssl-min-version is newer than --ssl-max-version: no version is left');
  const alone = [
    keyfile === undefined ? '' : '--keyfile',
    caCerts === undefined ? '' : '--ca-certs',
    certReqs === 'none' ? '' : '--cert-reqs',
    ciphers === undefined ? '' : '--ciphers',
    http2 ? '--http2' : '',
  ].find(Boolean);
  if (certfile === undefined && alone) throw invalid(`${alone} without a certificate: add --certfile FILE`);
  if (certReqs !== 'none' && caCerts === undefined)
    throw invalid(`--cert-reqs ${certReqs} without anything to check against: add --ca-certs FILE`);
  refuseUnreadable('--certfile', certfile);
  refuseUnreadable('--keyfile', keyfile);
  refuseUnreadable('--ca-certs', caCerts);
}

/** Workers read them: what nobody can read is told before any is started. */
function refuseUnreadable(flag: string, file: string | undefined): void {
  if (file === undefined) return;
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw invalid(`${flag} ${file}: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (statSync(file).isDirectory()) throw invalid(`${flag} ${file}: it is a directory`);
}

function refuseFormat({ accessLogformat }: Settings): void {
  try {
    compileFormat(accessLogformat);
  } catch (error) {
    throw invalid(`--access-logformat: ${(error as Error).message}`);
  }
}

function refuseSyslog({ syslog, syslogTo, disableRedirectAccessToSyslog }: Settings): void {
  if (!targetOf(syslogTo))
    throw invalid(
      `--syslog-to: "${syslogTo}" is none of udp://HOST[:PORT], tcp://HOST[:PORT] and unix:PATH with an absolute path`,
    );
  if (!syslog && syslogTo !== SYSLOG_DEFAULTS.syslogTo)
    throw invalid('--syslog-to without anything to send there: add --syslog');
  if (!syslog && disableRedirectAccessToSyslog)
    throw invalid('--disable-redirect-access-to-syslog without a syslog server: add --syslog');
}

/** What the inspector shows is not for everybody. */
function refuseOpenInspector(settings: Settings): void {
  const { inspector, inspectorAllowRemote, inspectorControl, inspectorToken } = settings;
  if (inspector === undefined) {
    const [flag] = [
      inspectorControl ? '--inspector-control' : '',
      inspectorAllowRemote ? '--inspector-allow-remote' : '',
      inspectorToken === undefined ? '' : '--inspector-token',
    ].filter(Boolean);
    if (flag) throw invalid(`${flag} without an inspector: add --inspector`);
    return;
  }
  const address = parseAddress(inspector);
  if (address.kind !== 'tcp' || isLoopback(address.host)) return;
  if (!inspectorAllowRemote)
    throw invalid(
      `--inspector ${inspector} could be reached from other machines: add --inspector-allow-remote and a token, or use 127.0.0.1`,
    );
  if (inspectorToken === undefined)
    throw invalid(`--inspector ${inspector} could be opened by anybody: set KIRIN_INSPECTOR_TOKEN`);
}

function refuseWatching(settings: Settings): void {
  const { maxMemoryBytes, maxMemoryHardBytes } = settings;
  for (const [flag, bytes] of [
    ['--max-memory', maxMemoryBytes],
    ['--max-memory-hard', maxMemoryHardBytes],
  ] as const)
    if (bytes > 0 && bytes < MEMORY_MIN)
      throw invalid(
        `${flag} must be 0 or at least 16M, not ${bytes} bytes: a worker without an app needs more`,
      );
  if (maxMemoryHardBytes > 0 && maxMemoryBytes >= maxMemoryHardBytes)
    throw invalid(
      '--max-memory must be less than --max-memory-hard: a worker is replaced at the former, and killed at the latter',
    );
  refuseInspectPorts(settings);
}

/** Each slot has a port of its own; so has its next worker, once the former has left. */
function refuseInspectPorts({ inspect, workers }: Settings): void {
  const address = inspect === undefined ? undefined : parseAddress(inspect);
  if (address?.kind !== 'tcp') return;
  if (address.port === 0)
    throw invalid('--inspect needs a port: slot 0 has it, the other workers those after it');
  if (address.port + workers - 1 > PORT_MAX)
    throw invalid(
      `--inspect ${inspect} leaves no port for some of ${workers} workers: the first must be at most ${PORT_MAX + 1 - workers}`,
    );
}
