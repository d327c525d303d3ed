/** What a configuration file is called. */
export const CONFIG_FILES = ['ts', 'mts', 'js', 'mjs', 'cjs', 'json'].map(
  (ending) => `kirin.config.${ending}`,
);
