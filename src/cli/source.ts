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
  tellTyped(process.env, commandLine);
  return settingsSource(commandLine);
}

/** Into the environment of all that the arbiter starts: see `settings/typed-options.ts`. */
function tellTyped(env: NodeJS.ProcessEnv, { app, flags, variableFlags = {} }: CommandLine): void {
  const options: Record<string, unknown> = {};
  for (const setting of settingList) {
    const { key, name, type } = setting;
    const given = flags[key] ?? variableFlags[key];
    // Workers have it in their environment too: what is secret stays out.
    if (!given?.length || type.kind === 'pairs' || type.kind === 'token') continue;
    options[camel(name)] =
      type.kind === 'switch' ? given.at(-1) === 'true' : isList(setting) ? given : given.at(-1);
  }
  env[TYPED_VARIABLE] = JSON.stringify({ app, options });
}
