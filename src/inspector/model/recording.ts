/** Recordings: what the page remembers as lines of JSON, and lines read again. Pure; runs in the browser. */
import type { Hello, State, Told } from '../../actors/inspect/records.ts';
import type { Timeline } from './timeline.ts';

/** Of one message; the server's own are no larger. */
const ACTORS_A_PART = 400;
const RECORDS_A_MESSAGE = 500;

export type Incoming = { type: string } & Record<string, unknown>;

/** A message, or undefined for what is none. */
export function messageOf(text: string): Incoming | undefined {
  try {
    const message: unknown = JSON.parse(text);
    if (typeof message === 'object' && message !== null && 'type' in message) return message as Incoming;
  } catch {
    // A line that was cut by a crash.
  }
  return undefined;
}

function* stateLines(state: State, at: number, seq: number): Generator<string> {
  const of = Math.max(1, Math.ceil(state.actors.length / ACTORS_A_PART));
  for (let part = 1; part <= of; part++)
    yield JSON.stringify({
      type: 'state',
      part,
      of,
      at,
      seq,
      processes: part === 1 ? state.processes : [],
      actors: state.actors.slice((part - 1) * ACTORS_A_PART, part * ACTORS_A_PART),
      beats: part === 1 ? state.beats : [],
    });
}

/** Everything that is kept, a line at a time, without line ends. */
export function* recordingLines(hello: Hello, timeline: Timeline): Generator<string> {
  const from = timeline.timeAt(timeline.first);
  const to = timeline.timeAt(timeline.end);
  yield JSON.stringify({ ...hello, control: false, commands: [], from, to });
  for (const { start, first, records } of timeline.chapters()) {
    if (start) yield* stateLines(start, records[0]?.at ?? from, first);
    for (let at = 0; at < records.length; at += RECORDS_A_MESSAGE) {
      const some: Told[] = records.slice(at, at + RECORDS_A_MESSAGE);
      yield JSON.stringify({ type: 'records', seq: first + at + 1, records: some });
    }
  }
}
