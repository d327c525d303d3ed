/** The runs that are recorded: what is started, what is done to it, and when the story is over. Development only. */
import type { Line } from './lines.ts';
import type { Run } from './run.ts';

export interface Scene {
  title: string;
  description: string;
  /** Options of `kirin`. */
  options: string[];
  /** Where the story begins; default: with the start. Everything before it is not told. */
  play?(run: Run): Promise<void>;
  /** The story is over when there was a line like each of these. */
  last: readonly ((line: Line) => boolean)[];
}

const isEvent = (
  line: Line,
  process: string,
  to: string,
  type: string,
  facts: Record<string, string> = {},
): boolean =>
  line.what === 'event' &&
  line.process === process &&
  line.to === to &&
  line.type === type &&
  Object.entries(facts).every(([name, value]) => line.facts[name] === value);

const isServing = (line: Line): boolean => isEvent(line, 'arbiter', 'root', 'pool.opened');
const isDirtyServing = (line: Line): boolean => isEvent(line, 'arbiter', 'root', 'dirty.opened');

const bothServe = async (run: Run): Promise<void> => {
  await run.until(isServing);
  await run.until(isDirtyServing);
};

const isAnswered = (line: Line): boolean => line.what === 'done' && line.kind === 'response';
const isGone =
  (process: string) =>
  (line: Line): boolean =>
    line.what === 'state' && line.process === process && line.value === 'gone';

export const SCENES: Readonly<Record<string, Scene>> = {
  boot: {
    title: 'Boot',
    description: 'From the start to the first worker that serves, with `kirin -w 1 app.js`.',
    options: ['-w', '1'],
    last: [isServing],
  },
  reload: {
    title: 'Reload',
    description:
      'On SIGHUP a worker of the new generation boots beside the one that serves. When it is ready and has lasted, the reload is committed, and the old one is told to drain.',
    options: ['-w', '1', '--reload-settle', '0.2', '--idle-grace', '0.1'],
    async play(run) {
      await run.until(isServing);
      run.begin();
      run.signal('arbiter', 'SIGHUP');
    },
    last: [(line) => isEvent(line, 'arbiter', 'root/generations', 'generation.release')],
  },
  hang: {
    title: 'A hung worker',
    description:
      'A request blocks the event loop of its worker, so that its heartbeats stop. It is aborted, and another takes its place.',
    options: ['-w', '1', '--timeout', '3'],
    async play(run) {
      await run.until(isServing);
      run.begin();
      void run.ask('worker 1', '/hang');
    },
    last: [
      (line) => isEvent(line, 'arbiter', 'root/pool', 'child.ready', { age: '2' }),
      // Its replacement may be faster than the wait after the failure.
      (line) => line.what === 'state' && line.of === 'root/pool' && line.by === 'pool.cooled',
    ],
  },
  'dirty-call': {
    title: 'A dirty call with a stream',
    description:
      'A web worker calls an action that yields three values. No machine takes part in it: these are frames on Unix sockets. Its first call begins with `hello`; `credit` is how many more values the caller has room for.',
    options: ['-w', '1', '--dirty-app', './app.mjs:Counter', '--dirty-workers', '1'],
    async play(run) {
      await bothServe(run);
      run.begin();
      void run.ask('worker 1', '/stream');
    },
    last: [isAnswered],
  },
  'arbiter-death': {
    title: "An arbiter's death",
    description:
      'The arbiter is killed while a request is in flight. The processes it has started see their links end, finish what they have, and exit.',
    options: ['-w', '1', '--idle-grace', '0.1', '--dirty-app', './app.mjs:Counter', '--dirty-workers', '1'],
    async play(run) {
      await bothServe(run);
      run.begin();
      await run.ask('worker 1', '/slow');
      run.signal('arbiter', 'SIGKILL');
    },
    last: [isAnswered, isGone('worker 1'), isGone('dirty arbiter 1')],
  },
};
