/** A real server with dirty workers, a directory and a TMPDIR of its own, for tests of how its processes are supervised. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ControlClient } from './control-client.ts';
import type { Data } from './controlled.ts';
import { fixture, launch, type Server, type ServerOptions, Site } from './harness.ts';
import { childrenOf } from './processes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const library = pathToFileURL(resolve(root, process.env['KIRIN_DIST'] ?? 'dist', 'index.js')).href;

/** What the web app of the fixture answers. */
export interface Called {
  web: string;
  result?: Data;
  code?: string;
  message?: string;
}

export interface TreeOptions extends ServerOptions {
  /** The web app. */
  app?: string;
  /** Files of the server's directory, before it starts. */
  files?: Record<string, string>;
  /** Symbolic links of it, and where they lead. */
  links?: Record<string, string>;
}

export const dirtyApp = (name: string): string => `${fixture('dirty-supervised.mjs')}:${name}`;

/** A module with versions of the fixture's dirty app and its web app. */
export const dirtyModule = (version: string, statics = '{}', more = ''): string =>
  `import { model } from ${JSON.stringify(fixture('dirty-supervised.mjs'))};\n${more}\nexport const Model = model('${version}', ${statics});\n`;
export const webModule = (version: string, more = ''): string =>
  `import { app } from ${JSON.stringify(fixture('dirty-caller.mjs'))};\n${more}\nexport default app('${version}');\n`;

export class Tree {
  readonly site: Site;
  readonly server: Server;
  readonly #t: TestContext;
  #client: Promise<ControlClient> | undefined;

  private constructor(t: TestContext, site: Site, server: Server) {
    this.#t = t;
    this.site = site;
    this.server = server;
  }

  /** Starts a server and does not wait. */
  static launch(t: TestContext, args: readonly string[], options: TreeOptions = {}): Tree {
    const { app = fixture('dirty-caller.mjs'), files = {}, links = {}, ...more } = options;
    const site = new Site(t);
    for (const [name, text] of Object.entries(files)) site.write(name, text);
    for (const [name, target] of Object.entries(links)) symlinkSync(target, site.path(name));
    mkdirSync(site.path('t'));
    const env = { TEST_KIRIN: library, TMPDIR: site.path('t'), ...more.env };
    const server = launch(t, app, ['-w', '1', ...args], { control: true, cwd: site.directory, ...more, env });
    return new Tree(t, site, server);
  }

  /** Starts a server and waits until it serves. */
  static async serve(t: TestContext, args: readonly string[], options: TreeOptions = {}): Promise<Tree> {
    const tree = Tree.launch(t, args, options);
    await tree.server.told(/^serving /);
    await tree.server.told(/^control socket at /);
    return tree;
  }

  async ask(command: string): Promise<Data> {
    const { status, data, error } = await (await this.client()).ask(command);
    assert.equal(status, 'ok', error);
    return data;
  }

  client(): Promise<ControlClient> {
    this.#client ??= ControlClient.connect(this.site.path('kirin.ctl')).then((client) => {
      this.#t.after(() => client.destroy());
      return client;
    });
    return this.#client;
  }

  async call(app: string, action: string, ...args: unknown[]): Promise<Called> {
    const query = args.map((one) => `a=${encodeURIComponent(JSON.stringify(one))}`).join('&');
    const path = `/call/${encodeURIComponent(app)}/${action}?${query}`;
    return (await this.server.get(path)).json() as unknown as Called;
  }

  /** Calls an action that answers when the file `go` is there; resolves when it runs. */
  async hold(app: string, go = 'go'): Promise<{ answer: Promise<Called>; pid: number }> {
    const file = this.site.path(go);
    const held = (): string[] =>
      [...this.server.output.matchAll(/holding (\S+) in (\d+)/g)].map(([, , pid]) => pid!);
    const before = held().length;
    const answer = this.call(app, 'hold', file);
    answer.catch(() => {});
    const pid = await this.server.until('a call is held', () => held()[before]);
    return { answer, pid: Number(pid) };
  }

  async dirty(): Promise<Data> {
    return await this.ask('show dirty');
  }

  /** Waits until `show dirty` is as wanted. */
  async until(what: string, isSo: (dirty: Data) => unknown): Promise<Data> {
    return await this.server.until(what, async () => {
      const dirty = await this.dirty();
      return isSo(dirty) ? dirty : undefined;
    });
  }

  /** Waits until there are so many dirty workers, all ready, and nobody leaves. */
  async settled(count: number, more: (dirty: Data) => unknown = () => true): Promise<Data> {
    return await this.until(`there are ${count} dirty workers, all ready`, (dirty) => {
      const { workers, rollout } = dirty;
      const ready = workers.filter(({ booted, state }: Data) => booted && /^alive\.ready|^ready/.test(state));
      return workers.length === count && ready.length === count && rollout === 'settled' && more(dirty);
    });
  }

  /** What the server still has under its TMPDIR. */
  left(): string[] {
    return readdirSync(this.site.path('t'));
  }

  /** The dirty arbiter by what the system knows, also while it does not answer. */
  arbiters(): number[] {
    return childrenOf(this.server.pid);
  }
}
