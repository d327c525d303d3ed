/**
 * What of the table of settings the first look at the command line needs (`plain-arguments.ts`). Evaluated by the build, since the
 * table itself takes longer to load than all that is done with it there.
 */
import { camel } from '../settings/camel.ts';
import { isList } from '../settings/raw-values.ts';
import { type Setting, settingList } from '../settings/table.ts';
import type { PlainOption } from './plain-arguments.ts';

/** How workers are told of a setting; undefined where its value may be left out, which a first look does not understand. */
function toldAs(setting: Setting): PlainOption['told'] | undefined {
  const { kind } = setting.type;
  if (kind === 'endpoint') return undefined;
  if (kind === 'switch') return 'switch';
  if (kind === 'pairs' || kind === 'token') return 'secret';
  return isList(setting) ? 'list' : 'value';
}

export const PLAIN_OPTIONS: PlainOption[] = settingList.flatMap((setting) => {
  const { flag, letter, aliases = [], name } = setting;
  const told = toldAs(setting);
  if (told === undefined) return [];
  const names = [...[flag, ...aliases].map((one) => `--${one}`), ...(letter ? [`-${letter}`] : [])];
  return [{ flag, names, isSwitch: told === 'switch', key: camel(name), told }];
});
