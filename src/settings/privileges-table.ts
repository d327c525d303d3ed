/** The settings of privileges and of being a daemon: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'Privileges';
const reloadable = false;

export const PRIVILEGES_SETTINGS = {
  /** Whom workers, dirty workers and their arbiter belong to; the arbiter stays what it is. */
  user: {
    name: 'user',
    flag: 'user',
    letter: 'u',
    type: { kind: 'text', lengthMax: 256 },
    defaultText: "the arbiter's",
    group,
    text: 'User that workers run as, by name or number; only root can give another',
    reloadable,
    public: true,
  },
  group: {
    name: 'group',
    flag: 'group',
    letter: 'g',
    type: { kind: 'text', lengthMax: 256 },
    defaultText: "the user's",
    group,
    text: 'Group that workers run as, by name or number',
    reloadable,
    public: true,
  },
  /** Without it they have no group but the one. */
  initgroups: {
    name: 'initgroups',
    flag: 'initgroups',
    type: { kind: 'switch' },
    group,
    text: 'Workers are in every group that their user is a member of',
    reloadable,
    public: true,
  },
  daemon: {
    name: 'daemon',
    flag: 'daemon',
    letter: 'D',
    type: { kind: 'switch' },
    group,
    text: 'Detach from the terminal; returns once the server serves, or has failed to',
    reloadable,
    public: true,
  },
} as const satisfies Record<string, Setting>;
