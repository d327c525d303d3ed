/** The settings of development: a part of the table of settings (`table.ts`), and what else is another default there. */
import type { Setting } from './table.ts';

const group = 'Development';

export const DEVELOPMENT_SETTINGS = {
  reload: {
    name: 'reload',
    flag: 'reload',
    type: { kind: 'switch' },
    group,
    text: 'Start workers anew when a file of the app changes; for development',
    reloadable: false,
    public: true,
  },
  reloadEngine: {
    name: 'reload_engine',
    flag: 'reload-engine',
    type: { kind: 'choice', of: ['auto', 'poll', 'inotify'] },
    defaultText: 'auto',
    group,
    text: 'How changes are noticed: as the system tells, by looking (poll), or by inotify alone',
    reloadable: false,
    public: true,
  },
  /** Templates, schemas, what else is read and not imported. */
  reloadExtraFiles: {
    name: 'reload_extra_files',
    flag: 'reload-extra-file',
    type: { kind: 'paths' },
    group,
    text: 'A file, or a pattern such as "views/**/*.html", whose change counts too; may be repeated',
    reloadable: false,
  },
} as const satisfies Record<string, Setting>;

export interface DevelopmentSettings {
  /** Default false. */
  reload: boolean;
  /** Default `auto`. */
  reloadEngine: 'auto' | 'poll' | 'inotify';
  /** Absolute, patterns as written. */
  reloadExtraFiles: string[];
  /** The configuration file that was read; undefined: none. */
  configFile: string | undefined;
}

export const DEVELOPMENT_DEFAULTS: DevelopmentSettings = {
  reload: false,
  reloadEngine: 'auto',
  reloadExtraFiles: [],
  configFile: undefined,
};

/** What nobody gave is another value with `--reload`: a change is to be seen at once, and nobody else is served. */
export const IN_DEVELOPMENT = {
  reloadSettleMs: 0,
  idleGraceMs: 0,
  gracefulTimeoutMs: 2000,
  maxSurge: { percent: 100 },
} as const;
