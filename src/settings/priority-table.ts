/** The setting of the arbiter's turn on a full machine: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

/** Its value, resolved. */
export interface PrioritySettings {
  /** Steps of niceness; 0: as its workers. Default 10. */
  arbiterPriority: number;
}

export const PRIORITY_DEFAULTS: PrioritySettings = { arbiterPriority: 10 };

export const PRIORITY_SETTINGS = {
  /** Linux alone has it, and only for who may: root, CAP_SYS_NICE, or a limit of niceness that is low enough. */
  arbiterPriority: {
    name: 'arbiter_priority',
    flag: 'arbiter-priority',
    type: { kind: 'count', min: 0, max: 20 },
    defaultText: '10',
    group: 'Processes',
    text: 'Steps of niceness by which the arbiter goes before its workers, where it may; 0: none',
    reloadable: false,
    public: true,
  },
} as const satisfies Record<string, Setting>;
