/** What a web worker's process of a built Kirin begins with; bundled into `dist/worker.cjs`. */
import { STAGE_FILES } from './files.ts';
import { openStages } from './stages.ts';

declare const require: ((id: string) => unknown) & { cache: Record<string, unknown> };
declare const __filename: string;
declare const __dirname: string;

// An app is to find itself as the main module, and no other one, as it would without Kirin.
delete (process as { mainModule?: unknown }).mainModule;
delete require.cache[__filename];
// Node.js remembers it from now on, though a deploy may remove the directory.
process.cwd();
openStages(__dirname, STAGE_FILES, require, (specifier) => import(specifier))('worker');
