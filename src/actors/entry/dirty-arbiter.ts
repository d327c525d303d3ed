/** Entry point of a dirty arbiter's process. */
import { runDirtyArbiter } from '../dirty/arbiter-process.ts';

runDirtyArbiter();
