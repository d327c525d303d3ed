/**
 * Which files the app is made of: what Node.js and the loader of TypeScript load, as they load it, so that a module that fails is
 * among them. Runs in web workers, with `--reload` alone; it must be there before the app is loaded.
 */
import { existsSync, statSync } from 'node:fs';
import Module from 'node:module';
import { dirname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Files are told together, when no more have come for so long; so many at once, and so many at most. */
const GATHER_MS = 30;
const TOLD_TOGETHER = 200;
const FILES_MAX = 10_000;

export interface ModuleFile {
  path: string;
  /** When it was changed last, as it was loaded; 0: it was not there. */
  mtimeMs: number;
}

interface NewerModule {
  /** Node.js 22.15 and later. */
  registerHooks?(hooks: {
    load(url: string, context: unknown, next: (url: string, context: unknown) => unknown): unknown;
  }): void;
}

interface ModuleInternals {
  _cache: Record<string, unknown>;
}

/** In a thread of Node.js's own, where hooks cannot be in the same one; it tells what is about to be loaded. */
const LOADER = `
  let port;
  export function initialize(data) { port = data.port; }
  export function load(url, context, next) {
    if (url.startsWith('file:')) port.postMessage(url);
    return next(url, context);
  }`;

/** What installs packages is not watched: it is large, and changes all at once. */
const PACKAGES = `${sep}node_modules${sep}`;

export class ModuleFiles {
  readonly #tell: (files: ModuleFile[]) => void;
  readonly #own: string;
  readonly #seen = new Set<string>();
  #untold: ModuleFile[] = [];
  #timer: NodeJS.Timeout | undefined;
  #receive = (): void => {};

  /** `own` is a directory whose files are Kirin's. */
  constructor(own: string, tell: (files: ModuleFile[]) => void) {
    this.#own = `${own}${sep}`;
    this.#tell = tell;
  }

  watch(): void {
    this.#watchCache();
    const { registerHooks } = Module as NewerModule;
    if (registerHooks)
      registerHooks.call(Module, {
        load: (url, context, next) => {
          this.#addUrl(url);
          return next(url, context);
        },
      });
    else this.#watchThread();
  }

  add(path: string): void {
    if (this.#seen.has(path) || this.#seen.size >= FILES_MAX) return;
    if (path.includes(PACKAGES) || path.startsWith(this.#own)) return;
    this.#seen.add(path);
    this.#untold.push({ path, mtimeMs: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 });
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }

  /** A module that could not be found may yet come. */
  missing(error: unknown): void {
    for (const path of missingFiles(error)) this.add(path);
  }

  /** Tells what has not been told. */
  flush(): void {
    this.#receive();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#untold.length > 0) this.#tell(this.#untold.splice(0, TOLD_TOGETHER));
  }

  #addUrl(url: string): void {
    if (url.startsWith('file:')) this.add(fileURLToPath(url));
  }

  /** CommonJS, and what the loader of TypeScript evaluates, is put into the cache before it runs. */
  #watchCache(): void {
    const internals = Module as unknown as ModuleInternals;
    internals._cache = new Proxy(internals._cache, {
      set: (cache, path, module) => {
        if (typeof path === 'string' && resolve(path) === path) this.add(path);
        return Reflect.set(cache, path, module);
      },
    });
  }

  #watchThread(): void {
    const { MessageChannel, receiveMessageOnPort } = process.getBuiltinModule('node:worker_threads');
    const { port1, port2 } = new MessageChannel();
    port1.on('message', (url: string) => this.#addUrl(url));
    port1.unref();
    this.#receive = () => {
      for (let one = receiveMessageOnPort(port1); one; one = receiveMessageOnPort(port1))
        this.#addUrl(one.message as string);
    };
    Module.register(`data:text/javascript,${encodeURIComponent(LOADER)}`, {
      data: { port: port2 },
      transferList: [port2],
    });
  }
}

const ENDINGS = ['', '.js', '.json', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

/** Where the module that an error misses would be; nothing for a package. */
function missingFiles(error: unknown): string[] {
  const { code, url, message, requireStack } = (error ?? {}) as NodeJS.ErrnoException & {
    url?: string;
    requireStack?: string[];
  };
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return [];
  if (typeof url === 'string' && url.startsWith('file:')) return withEndings(fileURLToPath(url));
  const wanted = /Cannot find module '([^']+)'/.exec(message ?? '')?.[1];
  const from = requireStack?.[0];
  if (wanted === undefined || !/^[./]/.test(wanted)) return [];
  if (!wanted.startsWith('/') && from === undefined) return [];
  return withEndings(resolve(dirname(from ?? '/'), wanted));
}

const withEndings = (path: string): string[] =>
  ENDINGS.map((ending) => path + ending).filter((one) => existsSync(dirname(one)));
