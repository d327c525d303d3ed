/** What this system and this version of Node.js cannot do about connections, or nobody would hear of. Runs in the arbiter, when settings are read. */
import type { Settings } from '../settings.ts';
import { invalid } from './parse.ts';

type Told = Pick<Settings, 'reusePort' | 'enableBacklogMetric' | 'metrics' | 'statsdHost'>;

/** Throws FaultError `settings.invalid`. */
export function refuseTrafficSettings(settings: Told): void {
  const why = settings.reusePort ? whyNoReusePort(process.version, process.platform) : undefined;
  if (why !== undefined) throw invalid(`--reuse-port: ${why}`);
  if (settings.enableBacklogMetric && settings.metrics === undefined && settings.statsdHost === undefined)
    throw invalid('--enable-backlog-metric without anybody to tell: add --metrics or --statsd-host');
}

/** Why a port cannot be shared, and what would be right; undefined where it can. */
export function whyNoReusePort(version: string, platform: NodeJS.Platform): string | undefined {
  // libuv binds so only where the system spreads connections over the sockets.
  if (platform === 'darwin') return 'macOS spreads no connections over the sockets of one port: leave it out';
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  if (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)) return undefined;
  return `Node.js ${version} cannot bind so: use 22.12 or later, or leave it out`;
}
