/** The setting of log transports of the user's own: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

/** Their values, resolved. */
export interface TransportsSettings {
  /** Modules as typed. */
  logTransports: string[];
}

export const TRANSPORTS_DEFAULTS: TransportsSettings = { logTransports: [] };

export const TRANSPORTS_SETTINGS = {
  logTransports: {
    name: 'log_transports',
    flag: 'log-transport',
    type: { kind: 'texts' },
    group: 'Logs and files',
    text: "Module of winston transports that get Kirin's log as well; may be repeated",
    reloadable: false,
  },
} as const satisfies Record<string, Setting>;
