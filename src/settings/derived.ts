/** The files that are made from the table of settings, by their paths in the repository. Runs in `npm run settings` and its test. */
import { configType } from './config-type.ts';
import { notApplicableReference } from './gunicorn-only.ts';
import { settingsReference } from './reference.ts';

export const DERIVED: Readonly<Record<string, () => string>> = {
  'docs/settings.md': settingsReference,
  'docs/not-applicable.md': notApplicableReference,
  'src/settings/config.ts': configType,
};
