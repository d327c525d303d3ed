/** Entry point of the process that hands copies of listening descriptors to a web worker. */
import { runCopyProcess } from '../copy-process.ts';

runCopyProcess();
