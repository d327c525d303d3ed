/** Kirin's own log at a syslog server. Runs in the arbiter; whoever has none loads nothing. */
import type { Settings } from '../../settings.ts';
import type { Syslog } from './syslog.ts';

/** What a server is called where nobody gave it a name. */
const NAME = 'kirin';

type Told = Pick<
  Settings,
  'syslog' | 'syslogTo' | 'syslogPrefix' | 'syslogFacility' | 'disableRedirectAccessToSyslog'
>;

export async function syslogOf(settings: Told, notice: (text: string) => void): Promise<Syslog | undefined> {
  if (!settings.syslog) return undefined;
  const { Syslog: Made } = await import('./syslog.ts');
  return new Made({ ...wayOf(settings), log: 'error', notice });
}

/** Where each request of a generation is written down. What needs a restart is as it was `first`. */
export function accessLogOf(
  { accessLogfile: file, accessLogformat: format }: Pick<Settings, 'accessLogfile' | 'accessLogformat'>,
  first: Told,
) {
  const syslog = first.syslog && !first.disableRedirectAccessToSyslog ? wayOf(first) : undefined;
  return file === undefined && !syslog ? undefined : { file, format, syslog };
}

const wayOf = ({ syslogTo: to, syslogFacility: facility, syslogPrefix: name = NAME }: Told) => ({
  to,
  facility,
  name,
});
