/** The settings of syslog: a part of the table of settings (`table.ts`). */
import { FACILITIES, type Facility } from '../actors/syslog/message.ts';
import type { Setting } from './table.ts';

const group = 'Logs and files';
const reloadable = false;

/** Their values, resolved. */
export interface SyslogSettings {
  /** Default false. */
  syslog: boolean;
  /** As typed; default `udp://localhost:514`. */
  syslogTo: string;
  /** Undefined: `kirin`. */
  syslogPrefix: string | undefined;
  /** Default `user`. */
  syslogFacility: Facility;
  /** Default false. */
  disableRedirectAccessToSyslog: boolean;
}

export const SYSLOG_DEFAULTS: SyslogSettings = {
  syslog: false,
  syslogTo: 'udp://localhost:514',
  syslogPrefix: undefined,
  syslogFacility: 'user',
  disableRedirectAccessToSyslog: false,
};

export const SYSLOG_SETTINGS = {
  /** Beside the files, for Kirin's log and for requests. */
  syslog: {
    name: 'syslog',
    flag: 'syslog',
    aliases: ['log-syslog'],
    type: { kind: 'switch' },
    group,
    text: 'Send both logs to a syslog server as well',
    reloadable,
    public: true,
  },
  syslogTo: {
    name: 'syslog_addr',
    flag: 'syslog-to',
    aliases: ['log-syslog-to'],
    type: { kind: 'text', lengthMax: 300 },
    defaultText: 'udp://localhost:514',
    group,
    text: 'Where it is: udp://HOST[:PORT], tcp://HOST[:PORT] or unix:PATH of a stream socket',
    reloadable,
  },
  syslogPrefix: {
    name: 'syslog_prefix',
    flag: 'syslog-prefix',
    aliases: ['log-syslog-prefix'],
    type: { kind: 'text', lengthMax: 48 },
    defaultText: 'kirin',
    group,
    text: 'What the server is called there (APP-NAME)',
    reloadable,
    public: true,
  },
  syslogFacility: {
    name: 'syslog_facility',
    flag: 'syslog-facility',
    aliases: ['log-syslog-facility'],
    type: { kind: 'choice', of: FACILITIES },
    defaultText: 'user',
    group,
    text: 'user, daemon, local0 to local7 or another facility of syslog',
    reloadable,
    public: true,
  },
  disableRedirectAccessToSyslog: {
    name: 'disable_redirect_access_to_syslog',
    flag: 'disable-redirect-access-to-syslog',
    type: { kind: 'switch' },
    group,
    text: 'Send no lines about requests there',
    reloadable,
    public: true,
  },
} as const satisfies Record<string, Setting>;
