/** When what V8 has made of a process's code is kept for later starts. Runs in the arbiter and in web workers. */
import { STAGES, type Stages } from './stages.ts';

/** By then what a start takes has run, and its functions are compiled; milliseconds. */
const KEEP_MS = 1500;

/** Once, unless the process ends before; nothing where it runs from its sources. */
export function keepCodeSoon(): void {
  const stages = (globalThis as { [STAGES]?: Stages })[STAGES];
  if (stages) setTimeout(() => void stages.keep(), KEEP_MS).unref();
}
