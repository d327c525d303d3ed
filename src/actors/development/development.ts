/**
 * `--reload`: a change of a file of the app orders a reload, and a start that fails waits for the change that mends it. Runs in the
 * arbiter, with that option alone, and outlives a server that could not start. Which files these are workers tell.
 */
import { statSync } from 'node:fs';
import { basename, relative, resolve } from 'node:path';
import type { InspectionEvent } from 'xstate';
import type { ArbiterEvent } from '../../machines/arbiter.ts';
import type { ArbiterOrder, ArbiterReport } from '../../machines/events/arbiter.ts';
import type { ModulesReport } from '../../machines/events/worker.ts';
import type { Settings } from '../../settings.ts';
import { resolveApp, startDirectory } from '../app-path.ts';
import type { Log } from '../log.ts';
import type { ProcessHooks } from '../process.ts';
import { FileWatch } from './file-watch.ts';

/** A change while the first workers start is ordered again so much later. */
const AGAIN_MS = 200;
const NAMES_TOLD = 3;
const SOURCE = 'change';

export class Development {
  readonly #settings: Settings;
  readonly #files: FileWatch;
  /** What the workers of a generation have loaded. */
  readonly #graphs = new Map<number, Set<string>>();
  /** Watched whatever is loaded. */
  readonly #fixed = new Set<string>();
  #log: Log | undefined;
  #order: ((order: ArbiterOrder) => void) | undefined;
  #again: NodeJS.Timeout | undefined;
  #changed: (() => void) | undefined;
  /** A change that no server has answered. */
  #isUnanswered = false;
  /** What there was no log for. */
  #news: string | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#files = new FileWatch({
      engine: settings.reloadEngine,
      extra: settings.reloadExtraFiles,
      changed: (paths) => this.#onChange(paths),
      warn: (text) => this.#log?.warn(text),
    });
  }

  async open(): Promise<void> {
    this.#fix(this.#settings);
    await this.#files.open();
  }

  async close(): Promise<void> {
    clearTimeout(this.#again);
    await this.#files.close();
  }

  /** A server has begun: it is told, and ordered. */
  attach(log: Log, order: (order: ArbiterOrder) => void): void {
    this.#log = log;
    this.#order = order;
    if (this.#news !== undefined) log.info(this.#news);
    this.#news = undefined;
  }

  /** The server has ended. */
  detach(): void {
    this.#order = undefined;
    this.#log = undefined;
    clearTimeout(this.#again);
    // Of the next one generations are counted anew.
    for (const path of this.#graphs.values()) for (const one of path) this.#fixed.add(one);
    this.#graphs.clear();
  }

  /** Resolves with the next change, or when `signal` aborts. */
  async change(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#isUnanswered) {
      this.#isUnanswered = false;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#changed = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#changed = undefined;
    this.#isUnanswered = false;
  }

  readonly hooks: ProcessHooks<'web'> = {
    reported: (_age, report) => {
      if (report.type === 'worker.modules') this.#loaded(report as ModulesReport);
    },
  };

  /** What happens to the machines, as their inspection tells. */
  watch(inspection: InspectionEvent): void {
    if (inspection.type !== '@xstate.microstep') return;
    const event = inspection.event as ArbiterEvent;
    if (event.type === 'pool.committed') this.#committed(event.generation);
    // Of dirty workers' apps the modules that are named; what these import is not known here.
    if (event.type === 'generation.prepared')
      for (const { path } of event.generation.dirty?.generation.apps ?? []) this.#fixOne(path);
  }

  /** From now on this generation is the one that serves: what only former ones have loaded is of no interest. */
  #committed(generation: number): void {
    for (const number of this.#graphs.keys()) if (number < generation) this.#graphs.delete(number);
    const kept = new Set([...this.#fixed, ...[...this.#graphs.values()].flatMap((files) => [...files])]);
    this.#files.keep(kept);
  }

  heard(report: ArbiterReport): void {
    if (report.source !== SOURCE) return;
    if (report.type === 'order.taken') this.#isUnanswered = false;
    if (report.type !== 'order.refused' || report.fault?.code !== 'order.starting') return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#reload(), AGAIN_MS);
  }

  #fixOne(path: string): void {
    if (this.#fixed.has(path)) return;
    this.#fixed.add(path);
    this.#files.add([{ path, mtimeMs: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }]);
  }

  #fix(settings: Settings): void {
    const { envFile, configFile, chdir, app } = settings;
    const fixed = [...envFile, ...(configFile === undefined ? [] : [configFile])];
    try {
      fixed.push(resolveApp(settings).app.path);
    } catch {
      // It may yet come, and that it is missing is told by whoever needs it.
      fixed.push(resolve(chdir ?? startDirectory(), app.replace(/:\w+$/, '')));
    }
    for (const path of fixed) this.#fixOne(path);
  }

  #loaded({ generation, files }: ModulesReport): void {
    const graph = this.#graphs.get(generation) ?? new Set();
    this.#graphs.set(generation, graph);
    for (const { path } of files) graph.add(path);
    const before = this.#files.size;
    this.#files.add(files);
    if (this.#files.size !== before) this.#log?.debug(`${this.#files.size} files are watched`);
  }

  #onChange(paths: string[]): void {
    const names = paths.slice(0, NAMES_TOLD).map((path) => this.#shown(path));
    const more = paths.length > NAMES_TOLD ? ` and ${paths.length - NAMES_TOLD} more` : '';
    const news = `changed: ${names.join(', ')}${more}`;
    if (this.#log) this.#log.info(news);
    else this.#news = news;
    this.#isUnanswered = true;
    this.#changed?.();
    this.#reload();
  }

  #reload(): void {
    this.#order?.({ type: 'arbiter.reload', source: SOURCE });
  }

  #shown(path: string): string {
    const shown = relative(process.cwd(), path);
    return shown.startsWith('..') ? basename(path) : shown;
  }
}
