/** A server that is upgraded: its arbiters are found by their pid file, since the first of them is the test's only child. */
import { existsSync, readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { eventually, launch, type Server, type ServerOptions, Site } from './harness.ts';
import { groupMembers } from './processes.ts';

export interface UpgradedOptions extends ServerOptions {
  /** Writes what the server needs, before it starts; may say more of how it is started. */
  setUp?(site: Site): Partial<ServerOptions>;
}

export class Upgraded {
  readonly site: Site;
  readonly server: Server;

  private constructor(site: Site, server: Server) {
    this.site = site;
    this.server = server;
  }

  /** `kirin.pid` and, with `control`, `ctl` lie in its site; the app is the site's `app.mjs`. */
  static async serve(
    t: TestContext,
    args: readonly string[] = [],
    { setUp, ...options }: UpgradedOptions = {},
  ): Promise<Upgraded> {
    const site = new Site(t);
    site.deploy('one');
    const more = setUp?.(site);
    const socket = options.control && !args.includes('-c') ? { KIRIN_CONTROL_SOCKET: 'ctl' } : {};
    const server = launch(t, 'app.mjs', ['--pid', site.path('kirin.pid'), ...args], {
      cwd: site.directory,
      ...options,
      ...more,
      env: { ...socket, ...options.env, ...more?.env },
    });
    const one = new Upgraded(site, server);
    await server.told(/^serving /);
    return one;
  }

  /** The arbiter whose server this is. */
  get pid(): number {
    return Number(this.site.read('kirin.pid'));
  }

  /** Starts a new arbiter and waits until it serves; returns its pid. */
  async upgrade(): Promise<number> {
    const from = this.server.mark();
    process.kill(this.pid, 'SIGUSR2');
    const { successorPid } = await eventually(`a new arbiter serves\n${this.server.tail()}`, () => {
      const [failed] = this.server.all(/^upgrade (failed|refused)/, from);
      if (failed) throw new Error(failed.msg);
      return this.server.all(/^the new arbiter .* serves/, from)[0];
    });
    return Number(successorPid);
  }

  /** Ends the old arbiter and waits until the new one has taken its place. */
  async complete(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const successor = Number(this.site.read('kirin.pid.2'));
    process.kill(this.pid, signal);
    await this.taken(successor);
  }

  async taken(successor: number): Promise<void> {
    await eventually(
      `the new arbiter takes the place\n${this.server.tail()}`,
      // Between the old one's pid file and the new one's there is none.
      () =>
        readIfThere(this.site.path('kirin.pid')).trim() === String(successor) &&
        !existsSync(this.site.path('kirin.pid.2')),
    );
  }

  /** Ends the arbiter whose server it is, with everything. */
  async stop(): Promise<void> {
    const { pid } = this;
    process.kill(pid, 'SIGTERM');
    await eventually(
      `nobody is left\n${this.server.tail()}`,
      () => groupMembers(this.server.pid).length === 0,
    );
  }
}

/** Empty where there is none. */
export function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
