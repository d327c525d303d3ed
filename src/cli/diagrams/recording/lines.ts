/** What the processes of a recorded run write down, line by line. Development only. */

/** Names the file to write to; only the recorder reads it. */
export const RECORDING_VARIABLE = 'DIAGRAMS_RECORDING';

export type Line = {
  /** Nanoseconds on a clock that all processes share. */
  at: number;
  /** `arbiter`, `worker 1`, or `you` for who looks at it from outside. */
  process: string;
} & (
  | { what: 'event'; from: string; to: string; type: string; facts: Record<string, string> }
  | { what: 'state'; of: string; value: object | string; by: string }
  /** A frame was sent to or by the router of dirty calls. */
  | { what: 'frame'; type: string; flags: number }
  /** You did something to a process. */
  | { what: 'done'; to: string; text: string; kind: 'request' | 'response' | 'signal' }
);
