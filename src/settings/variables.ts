/**
 * Variables that are nearly those of settings: whoever sets `KIRIN_WROKERS` means something. Runs in the arbiter, at
 * its start.
 */
import { invalid } from './parse.ts';
import { nearest } from './suggest.ts';
import { settingList, variableOf } from './table.ts';

const PREFIX = 'KIRIN_';
/** Those that are no setting's; what Kirin gives its workers may reach it from one that started it. */
const OTHERS = [
  'APP',
  'CMD_ARGS',
  'COMMAND_LINE',
  'CONFIG',
  'GUARDIAN',
  'HISTORY',
  'WORKER_AGE',
  'WORKER_SLOT',
];
/** Of what Kubernetes tells of a service that is called so. */
const SERVICE = /^(PORT|SERVICE)(_|$)|_(PORT|HOST|ADDR|PROTO|TCP|UDP)$/;
/** A slip of the fingers; with more it is another word, and somebody else's. */
const EDITS = { few: 1, many: 2, longFrom: 6 };

/** Throws FaultError `settings.invalid`. */
export function refuseNearVariables(env: NodeJS.ProcessEnv): void {
  const known = new Set([
    ...OTHERS,
    ...settingList.flatMap((setting) => variableOf(setting)?.slice(PREFIX.length) ?? []),
  ]);
  for (const name of Object.keys(env)) {
    const word = name.slice(PREFIX.length);
    if (!name.startsWith(PREFIX) || known.has(word) || SERVICE.test(word) || word.startsWith('RESOURCE_'))
      continue;
    const meant = nearest(word, known, word.length < EDITS.longFrom ? EDITS.few : EDITS.many);
    if (meant !== undefined)
      throw invalid(`${name} is no variable of Kirin's (did you mean "${PREFIX}${meant}"?)`);
  }
}
