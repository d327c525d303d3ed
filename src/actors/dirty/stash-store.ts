/** The stash with its file, its clock and its sweep, ready to be asked. Runs in the dirty arbiter. */
import { pack, unpack } from './packing.ts';
import { Stash } from './stash.ts';
import { StashFile } from './stash-file.ts';
import { answerStash, type StashReply } from './stash-service.ts';

export interface StashStoreOptions {
  /** The file, in a directory of the server's own; made if there is none. */
  path: string;
  /** `--dirty-stash-max` */
  bytesMax: number;
  /** What is worth a warning in the log. */
  notice(text: string): void;
  /** Default: a clock that all processes of this machine share, and that nobody sets. */
  nowMs?(): number;
}

export interface StashStore {
  readonly stash: Stash;
  /** For the payload of a `stash` frame. */
  answer(request: Buffer): StashReply;
  close(): void;
}

/** How often what is due is freed though nobody asks, and how much at once. */
const SWEEP_MS = 1000;
const SWEEP_MAX = 20_000;
/** No packed number is longer. */
const NUMBER_BYTES_MAX = 16;

export function openStash({ path, bytesMax, notice, nowMs = machineMs }: StashStoreOptions): StashStore {
  const file = new StashFile(path, notice);
  const stash = new Stash({ bytesMax, nowMs, numbers, record: (change) => file.record(change) });
  try {
    file.load(stash);
  } catch (error) {
    file.close();
    throw error;
  }
  const timer = setInterval(() => stash.sweep(SWEEP_MAX), SWEEP_MS).unref();
  return {
    stash,
    answer: (request) => answerStash(stash, request),
    close() {
      clearInterval(timer);
      file.close();
    },
  };
}

const machineMs = (): number => Number(process.hrtime.bigint() / 1_000_000n);

const numbers = {
  pack: (value: number): Uint8Array => pack(value),
  unpack(bytes: Buffer): number | undefined {
    if (bytes.byteLength > NUMBER_BYTES_MAX) return undefined;
    const value = unpack(bytes);
    return typeof value === 'number' ? value : undefined;
  },
};
