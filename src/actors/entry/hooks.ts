/** Entry point of the process that calls hooks for an arbiter. */
import { runHookProcess } from '../hooks/hook-process.ts';

runHookProcess();
