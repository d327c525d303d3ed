/** `npm run diagrams`: writes diagrams/, and removes from it what is drawn no more. Development only. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { allDiagrams } from './diagrams/all.ts';

const FOLDER = 'diagrams';

const files = await allDiagrams();
mkdirSync(FOLDER, { recursive: true });
for (const name of readdirSync(FOLDER))
  if (/\.(svg|mmd|md)$/.test(name) && !files.has(name)) rmSync(`${FOLDER}/${name}`);
for (const [name, text] of files) writeFileSync(`${FOLDER}/${name}`, text);
console.log(`${files.size} files in ${FOLDER}/`);
