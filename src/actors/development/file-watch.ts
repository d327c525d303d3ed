/**
 * Watches files, whether they are there or not, by the directories that they are in: an editor that saves by renaming, or a file that
 * was deleted and comes again, is then no special case. Runs in the arbiter, with `--reload` alone; the package that watches is loaded
 * there only.
 */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FSWatcher } from 'chokidar';
import { type FilePattern, filePattern } from './file-pattern.ts';

/** Several changes within this time are one; however many come, after so long they count. */
const QUIET_MS = 60;
const QUIET_MAX_MS = 1000;
const POLL_MS = 200;
/** When a file that is new here is looked at, and once more, when the system surely watches. */
const LOOKS_MS = [0, 400] as const;

export interface FileWatchOptions {
  engine: 'auto' | 'poll' | 'inotify';
  /** Files and patterns, absolute. */
  extra: readonly string[];
  /** These files have changed. */
  changed(paths: string[]): void;
  warn(text: string): void;
}

export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #patterns: FilePattern[];
  /** With when each was changed last, as it was used or as it was told; 0: it was not there; undefined: not known. */
  readonly #files = new Map<string, number | undefined>();
  /** Of them, those that are seen not to be there: of one that is, the time may be 0 as well. */
  readonly #gone = new Set<string>();
  readonly #directories = new Set<string>();
  /** Of those, the ones that are not there. */
  readonly #awaited = new Set<string>();
  readonly #changed = new Set<string>();
  #watcher: FSWatcher | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #missing: NodeJS.Timeout | undefined;
  #firstMs = 0;
  #isPolling: boolean;
  #isClosed = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#patterns = options.extra.map(filePattern);
    this.#isPolling = options.engine === 'poll';
  }

  async open(): Promise<void> {
    const { watch } = await import('chokidar');
    this.#watcher = watch([], {
      ignoreInitial: true,
      ignorePermissionErrors: true,
      usePolling: this.#isPolling,
      interval: POLL_MS,
      binaryInterval: POLL_MS,
      ignored: (path, stats) => this.#isIgnored(resolve(path), stats?.isDirectory()),
    });
    this.#watcher.on('all', (_event, path) => void this.#touched(resolve(path)));
    // What changed before the system watches tells nobody else.
    this.#watcher.on('ready', () => void this.#look(this.#known()));
    this.#watcher.on('addDir', (path) => void this.#entered(resolve(path)));
    this.#watcher.on('unlinkDir', (path) => {
      if (this.#directories.has(resolve(path))) this.#awaited.add(resolve(path));
    });
    clearInterval(this.#missing);
    this.#missing = setInterval(() => this.#lookForMissing(), LOOKS_MS[1]).unref();
    this.#watcher.on('error', (error) => this.#failed(error as NodeJS.ErrnoException));
    const directories = [...this.#patterns.map(({ base }) => base), ...[...this.#files.keys()].map(dirname)];
    for (const directory of directories) this.#watchDirectory(directory);
  }

  get size(): number {
    return this.#files.size;
  }

  /** With when each was changed last, as whoever used it found it; undefined: nobody knows. */
  add(files: Iterable<{ path: string; mtimeMs?: number | undefined }>): void {
    for (const { path, mtimeMs } of files) {
      const isNew = !this.#files.has(path);
      this.#files.set(path, mtimeMs);
      if (!isNew || !this.#watcher) continue;
      this.#watchDirectory(dirname(path));
      // In a directory that is watched already it was left out until now.
      this.#watcher.add(path);
    }
    for (const afterMs of LOOKS_MS) setTimeout(() => void this.#look([...files]), afterMs).unref();
  }

  /** Only these are watched from now on, and what the patterns say. */
  keep(paths: ReadonlySet<string>): void {
    for (const path of this.#files.keys())
      if (!paths.has(path) && !this.#isExtra(path)) {
        this.#files.delete(path);
        this.#gone.delete(path);
      }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#quiet);
    clearInterval(this.#missing);
    await this.#watcher?.close();
  }

  #watchDirectory(directory: string): void {
    if (!this.#watcher || this.#directories.has(directory)) return;
    this.#directories.add(directory);
    // One that is not there yet is entered when it comes, and so are those on the way to it.
    if (existsSync(directory)) return void this.#watcher.add(directory);
    this.#awaited.add(directory);
    if (dirname(directory) !== directory) this.#watchDirectory(dirname(directory));
  }

  #isIgnored(path: string, isDirectory: boolean | undefined): boolean {
    if (this.#files.has(path) || this.#directories.has(path)) return false;
    // Asked once more when it is known what it is.
    if (isDirectory === undefined) return false;
    return !this.#patterns.some((one) => (isDirectory ? one.enters(path) : one.matches(path)));
  }

  #isExtra(path: string): boolean {
    return this.#patterns.some((one) => one.matches(path));
  }

  /** What came into a new directory before it was watched tells nobody; nor does a directory whose coming the watcher has missed. */
  #lookForMissing(): void {
    for (const [path, mtimeMs] of this.#files) {
      if (mtimeMs !== 0) continue;
      if (!existsSync(path)) this.#gone.add(path);
      else {
        if (this.#gone.delete(path)) this.#watcher?.add([dirname(path), path]);
        void this.#touched(path);
      }
    }
    for (const directory of this.#awaited)
      if (existsSync(directory)) {
        this.#awaited.delete(directory);
        this.#watcher?.add(directory);
        void this.#entered(directory);
      }
  }

  /** As `#lookForMissing`, of files that only patterns name. */
  async #entered(directory: string): Promise<void> {
    if (this.#patterns.length === 0) return;
    await sleep(LOOKS_MS[1], undefined, { ref: false });
    await this.#search(directory);
  }

  /** What the patterns name in it and below. */
  async #search(directory: string): Promise<void> {
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        if (this.#patterns.some((one) => one.enters(path))) await this.#search(path);
      } else if (this.#isExtra(path) && !this.#files.has(path)) await this.#touched(path);
    }
  }

  /** Something has happened to it; what was told or used already is no news. */
  async #touched(path: string): Promise<void> {
    if (!this.#files.has(path) && !this.#isExtra(path)) return;
    const now = await changedMs(path);
    if (this.#isClosed || this.#files.get(path) === now) return;
    if (now === 0) this.#gone.add(path);
    this.#files.set(path, now);
    this.#note(path);
  }

  #note(path: string): void {
    this.#changed.add(path);
    const nowMs = performance.now();
    if (this.#changed.size === 1) this.#firstMs = nowMs;
    const leftMs = Math.max(0, Math.min(QUIET_MS, this.#firstMs + QUIET_MAX_MS - nowMs));
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      const paths = [...this.#changed];
      this.#changed.clear();
      this.#options.changed(paths);
    }, leftMs);
  }

  #known(): { path: string; mtimeMs: number | undefined }[] {
    return Array.from(this.#files, ([path, mtimeMs]) => ({ path, mtimeMs }));
  }

  /** One that was changed between being used and being watched. */
  async #look(files: { path: string; mtimeMs?: number | undefined }[]): Promise<void> {
    for (const { path, mtimeMs } of files) {
      if (mtimeMs !== undefined && this.#files.get(path) === mtimeMs) await this.#touched(path);
    }
  }

  /** The system has only so many watches. */
  #failed(error: NodeJS.ErrnoException): void {
    const { engine, warn } = this.#options;
    const isFull = error.code === 'ENOSPC' || error.code === 'EMFILE';
    if (!isFull || this.#isPolling || engine === 'inotify') return warn(`watching files: ${error.message}`);
    this.#isPolling = true;
    warn(
      `the system has no watches left (${error.code}): files are looked at instead, as with --reload-engine poll`,
    );
    void this.#watcher?.close();
    this.#directories.clear();
    this.#awaited.clear();
    void this.open();
  }
}

const changedMs = (path: string): Promise<number> =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
