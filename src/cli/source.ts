/** Where the settings of a command come from, after a look at its environment. Runs in the arbiter. */
import { camel } from '../settings/camel.ts';
import { isList } from '../settings/raw-values.ts';
import { settingList } from '../settings/table.ts';
import { TYPED_VARIABLE } from '../settings/typed-options.ts';
import { refuseNearVariables } from '../settings/variables.ts';
import { type CommandLine, type SettingsSource, settingsSource } from '../settings.ts';

/** Throws FaultError `settings.invalid`. */
export function sourceOf(commandLine: CommandLine): SettingsSource {
  refuseNearVariables(process.env);
  // Into the environment of all that the arbiter starts.
  process.env[TYPED_VARIABLE] = typedText(commandLine);
  return settingsSource(commandLine);
}

/** What was typed, as `settings/typed-options.ts` reads it. */
export function typedText({ app, flags, variableFlags = {} }: CommandLine): string {
  const options: Record<string, unknown> = {};
  for (const setting of settingList) {
    const { key, name, type } = setting;
    const given = flags[key] ?? variableFlags[key];
    // Workers have it in their environment too: what is secret stays out.
    if (!given?.length || type.kind === 'pairs' || type.kind === 'token') continue;
    options[camel(name)] =
      type.kind === 'switch' ? given.at(-1) === 'true' : isList(setting) ? given : given.at(-1);
  }
  return JSON.stringify({ app, options });
}
