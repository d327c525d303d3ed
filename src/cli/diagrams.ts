/**
 * `npm run diagrams`: writes diagrams/, and removes from it what is drawn no more. With `-- --record`, the sequences are
 * recorded anew before, from real servers. Development only.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { allDiagrams, recordAll } from './diagrams/all.ts';

const FOLDER = 'diagrams';

if (process.argv.includes('--record')) await recordAll();
const files = await allDiagrams();
mkdirSync(FOLDER, { recursive: true });
for (const name of readdirSync(FOLDER))
  if (/\.(svg|mmd|md)$/.test(name) && !files.has(name)) rmSync(`${FOLDER}/${name}`);
for (const [name, text] of files) writeFileSync(`${FOLDER}/${name}`, text);
console.log(`${files.size} files in ${FOLDER}/`);
