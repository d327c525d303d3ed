/** What `--max-memory auto` is. Runs in the arbiter, when settings are read. */
import { type Limits, memoryShare } from '../actors/cgroup.ts';
import { MEMORY_MIN } from './contradictions.ts';
import { invalid } from './parse.ts';

/** In bytes; 0: there is no limit to share. Throws FaultError `settings.invalid`. */
export function sharedMemory(workers: number, limits: Limits): number {
  const share = memoryShare(workers, limits);
  if (share === 0 || share >= MEMORY_MIN) return share;
  const mib = Math.floor(limits.memoryBytes! / 1024 ** 2);
  throw invalid(
    `--max-memory auto: the container has ${mib}M, too little for ${workers} workers and 16M each: give fewer workers, or more memory`,
  );
}
