/** Makes a directory and its parents, mode 0700, level by level: Node's own recursive way never ends in /proc. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

const LEVELS_MAX = 32;

/** Throws the error of the system. What is there already is left as it is. */
export function makeDirectory(path: string, levelsMax = LEVELS_MAX): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || levelsMax === 0 || dirname(path) === path) throw error;
    makeDirectory(dirname(path), levelsMax - 1);
    mkdirSync(path, { mode: 0o700 });
  }
}
