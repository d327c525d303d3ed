/** The streams between a process and its parent. Runs in every process that starts others. */
import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';

/** By descriptor. None where no descriptor was left to start it: Node then has no `stdio`, whatever its types say. */
export const stdioOf = (child: ChildProcess): readonly (Duplex | null | undefined)[] =>
  (child.stdio as unknown as (Duplex | null | undefined)[] | undefined) ?? [];
