/** Entry point of a web worker's process. */
import { runWorker } from '../worker-process.ts';

runWorker();
