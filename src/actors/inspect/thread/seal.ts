/**
 * Knows what a process tells the inspector by the first bytes of its frame, so that nobody but the inspector's thread needs to
 * read the rest; and reads it. Runs in the arbiter: the first in its main thread, the second in the inspector's.
 */
import * as v from 'valibot';
import { type InspectReport, inspectReports } from '../../../machines/events/inspect.ts';
import { encodeFrame, HEADER_BYTES, packr } from '../../frame.ts';

/** As every frame of this kind begins whose writer is Kirin: the number of its fields, then the first of them. */
const FIELDS_BYTES = 3;
const SAMPLE = encodeFrame({ type: 'inspect.batch' }).subarray(HEADER_BYTES + FIELDS_BYTES);
const MAP_16 = 0xde;

/** A frame that is written in another way is not known here, and read where all others are. */
export const isSealedReport = (body: Buffer): boolean =>
  body[0] === MAP_16 &&
  body.length > FIELDS_BYTES + SAMPLE.length &&
  body.compare(SAMPLE, 0, SAMPLE.length, FIELDS_BYTES, FIELDS_BYTES + SAMPLE.length) === 0;

/** The report; or what is wrong with it. */
export function unsealed(body: Uint8Array): InspectReport | string {
  let value: unknown;
  try {
    value = packr.unpack(body);
  } catch (error) {
    return `inspect.batch: ${(error as Error).message}`.slice(0, 200);
  }
  const parsed = v.safeParse(inspectReports['inspect.batch'], value);
  if (parsed.success) return parsed.output;
  return `inspect.batch: ${v.getDotPath(parsed.issues[0]) ?? ''} ${parsed.issues[0].message}`.slice(0, 200);
}
