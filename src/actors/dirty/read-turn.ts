/**
 * What was read together is answered together: while the frames of one read are handed on, channels only gather what they are
 * to send, and write it once when all have been. Runs at every end.
 */

/** A channel that has something to write. */
export interface Gathering {
  /** All frames of the read have been handed on. */
  readEnded(): void;
}

let isReading = false;
let isBatch = false;
const gathering: Gathering[] = [];

const batchEnded = (): void => {
  isBatch = false;
};

/** Hands on what was read; `handOn` gives how many frames that were. */
export function inReadTurn(handOn: () => number): void {
  isReading = true;
  let frames = 0;
  try {
    frames = handOn();
  } finally {
    isReading = false;
    for (const channel of gathering.splice(0)) channel.readEnded();
  }
  // Promises that these frames have settled run next, and what they send belongs together too.
  if (frames <= 1 || isBatch) return;
  isBatch = true;
  process.nextTick(batchEnded);
}

/** Whether the channel will be told of the end of a read. */
export function waitsForRead(channel: Gathering): boolean {
  if (isReading) gathering.push(channel);
  return isReading;
}

/** Whether more than one frame was read in this turn, so that more than one is likely to be sent. */
export const isBatchTurn = (): boolean => isBatch;
