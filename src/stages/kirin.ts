#!/usr/bin/env node
/** What the arbiter's process of a built Kirin begins with; bundled into `dist/kirin.cjs`, the command. */
import { join } from 'node:path';
import { startEarly } from './early.ts';
import { STAGE_FILES } from './files.ts';
import type { PlainOption } from './plain-arguments.ts';
import { openStages } from './stages.ts';

declare const require: (id: string) => unknown;
declare const __dirname: string;
/** Put in by the build. */
declare const KIRIN_PLAIN_OPTIONS: readonly PlainOption[];

/** As Node.js says it of a module that never finishes. */
const NOT_ENDED = 13;

startEarly(join(__dirname, 'worker.cjs'), process.argv.slice(2), KIRIN_PLAIN_OPTIONS);
// The arbiter ends itself; an event loop that runs empty before is no good end.
process.on('beforeExit', () => process.exit(NOT_ENDED));
openStages(__dirname, STAGE_FILES, require, (specifier) => import(specifier))('kirin');
