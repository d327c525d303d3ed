/** What callers name a dirty app by: `./ml.js:Model`. Pure; runs at every end. Imports only the paths of Node. */
import { posix } from 'node:path';

/** The same name for all ways to write it: `ml.js:Model`, `./ml.js:Model` and `lib/../ml.js:Model` are one app. */
export const canonicalName = (importPath: string): string => posix.normalize(importPath);
