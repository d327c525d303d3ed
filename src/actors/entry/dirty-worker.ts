/** Entry point of a dirty worker's process. */
import { runDirtyWorker } from '../dirty/worker-process.ts';

runDirtyWorker();
