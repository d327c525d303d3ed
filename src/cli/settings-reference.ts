/** `npm run settings`: writes what is derived from the table of settings. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DERIVED } from '../settings/derived.ts';

const root = new URL('../../', import.meta.url);
for (const [path, text] of Object.entries(DERIVED)) writeFileSync(fileURLToPath(new URL(path, root)), text());
