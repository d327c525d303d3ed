/**
 * The apps of one dirty worker, from their classes to their instances and to their end. Runs in dirty workers, once in a
 * process's life.
 */
import type { DirtyAppSpec } from '../../machines/events/dirty.ts';
import { errorLine, errorPlace } from '../app-errors.ts';
import { FaultError } from '../fault-error.ts';
import { hopeful, settles } from '../patience.ts';
import { type Action, actionsOf, type DirtyApp, type DirtyClass } from './app.ts';
import { loadDirtyClass } from './apps-loading.ts';

/** An app that takes calls. */
export interface RunningApp {
  readonly importPath: string;
  readonly instance: DirtyApp;
  readonly actions: ReadonlyMap<string, Action>;
}

type Spec = Pick<DirtyAppSpec, 'importPath' | 'number' | 'path' | 'className'>;

export class DirtyWorkerApps {
  readonly #specs: readonly Spec[];
  readonly #apps = new Map<number, RunningApp>();

  constructor(specs: readonly Spec[]) {
    this.#specs = specs;
  }

  /** Those whose init() is done, by their number on the wire. */
  get running(): ReadonlyMap<number, RunningApp> {
    return this.#apps;
  }

  /**
   * Loads all classes, then makes an instance of each and awaits its init(), in turn. Rejects with what
   * `loadDirtyClass` does, and with FaultError `app.startFailed`. `enters` is told what begins, since it may never end.
   */
  async start(enters: (what: string) => void = () => {}): Promise<void> {
    const classes: [Spec, DirtyClass][] = [];
    for (const spec of this.#specs) {
      enters(`the module of ${spec.importPath}`);
      classes.push([spec, await loadDirtyClass(spec)]);
    }
    for (const [spec, Class] of classes) {
      const { importPath } = spec;
      enters(`the constructor or init() of ${importPath}`);
      const app = { importPath, instance: made(importPath, Class), actions: actionsOf(Class) };
      await initiated(app);
      this.#apps.set(spec.number, app);
    }
  }

  /**
   * Closes the apps that were started, the last one first. One that throws is told; one that takes more than its share
   * of `limitMs` goes on beside the next, and is told when the time is over. Never rejects.
   */
  async close(limitMs: number, notice: (text: string) => void): Promise<void> {
    const untilMs = performance.now() + limitMs;
    const leftMs = (): number => Math.max(0, untilMs - performance.now());
    const open = new Map<string, Promise<void>>();
    const apps = [...this.#apps.values()].reverse();
    this.#apps.clear();
    for (const [index, app] of apps.entries()) {
      const closing = closed(app, notice).finally(() => open.delete(app.importPath));
      open.set(app.importPath, closing);
      await settles(closing, leftMs() / (apps.length - index));
    }
    await settles(Promise.all(open.values()), leftMs());
    for (const importPath of open.keys())
      notice(`${importPath}: close() did not end in ${Math.round(limitMs)} ms; the worker leaves without it`);
  }
}

function made(importPath: string, Class: DirtyClass): DirtyApp {
  try {
    return new Class();
  } catch (error) {
    throw startFailed(`${importPath}: its constructor failed`, error);
  }
}

async function initiated({ importPath, instance }: RunningApp): Promise<void> {
  // Nothing was thrown anywhere, so there is no place and no stack to show.
  const neverEnded = (): FaultError =>
    new FaultError(
      'app.startFailed',
      `${importPath}: init() never ended: what it waits for cannot happen any more`,
    );
  try {
    await hopeful(
      (async () => {
        await instance.init();
      })(),
      neverEnded,
    );
  } catch (error) {
    if (error instanceof FaultError) throw error;
    throw startFailed(`${importPath}: init() failed`, error);
  }
}

async function closed({ importPath, instance }: RunningApp, notice: (text: string) => void): Promise<void> {
  try {
    await instance.close();
  } catch (error) {
    notice(withPlace(`${importPath}: close() failed`, error));
  }
}

const startFailed = (what: string, error: unknown): FaultError =>
  new FaultError('app.startFailed', withPlace(what, error), error instanceof Error ? error.stack : undefined);

function withPlace(what: string, error: unknown): string {
  const place = errorPlace(error);
  return `${what}: ${errorLine(error)}${place === undefined ? '' : ` (${place})`}`;
}
