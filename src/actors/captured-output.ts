/**
 * What a process of Kirin's prints, line by line: its standard output and error are pipes that are read here. Runs in the
 * arbiter, with `--capture-output` alone. A process that prints without end is read no faster than the bound, and so waits;
 * what it has printed when it ends is read before it counts as ended.
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { stdioOf } from './child-stdio.ts';
import type { OutputLog } from './log.ts';
import type { Placed } from './process-spawn.ts';
import type { Redactor } from './redaction.ts';

/** A longer line is told in parts. In UTF-16 units. */
export const LINE_MAX = 16 * 1024;
/** So much of one stream is read, then there is a pause: 10 MiB a second. */
const BURST = 512 * 1024;
const PAUSE_MS = 50;

export type Stream = 'stdout' | 'stderr';
/** Takes a line. */
export type Printed = (stream: Stream, line: string) => void;

/** Puts lines into the log, without what must not be told. */
export const printedTo =
  (log: Pick<OutputLog, 'output'>, redactor: Pick<Redactor, 'text'>) =>
  (title: string) =>
  ({ age, slot }: Placed, worker: number): Printed =>
  (stream, line) =>
    log.output(stream, `${title} ${age}`, redactor.text(line), { of: title, age, slot, worker });

/** Resolves when both streams have ended, which a child of the process may put off; never rejects. */
export async function captureOutput(child: ChildProcess, printed: Printed): Promise<void> {
  const [, stdout, stderr] = stdioOf(child);
  await Promise.all([
    readLines(stdout, (line) => printed('stdout', line)),
    readLines(stderr, (line) => printed('stderr', line)),
  ]);
}

async function readLines(stream: Readable | null | undefined, take: (line: string) => void): Promise<void> {
  if (!stream) return;
  let rest = '';
  let burst = 0;
  try {
    for await (const part of stream.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + part).split('\n');
      rest = lines.pop()!;
      for (const line of lines) takeParts(line, take);
      for (; rest.length > LINE_MAX; rest = rest.slice(LINE_MAX)) take(rest.slice(0, LINE_MAX));
      burst += part.length;
      if (burst < BURST) continue;
      burst = 0;
      await pause(PAUSE_MS, undefined, { ref: false });
    }
  } catch {
    // It has gone; what was read of it is told.
  }
  if (rest !== '') takeParts(rest, take);
}

function takeParts(line: string, take: (line: string) => void): void {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  for (let at = 0; at === 0 || at < text.length; at += LINE_MAX) take(text.slice(at, at + LINE_MAX));
}
