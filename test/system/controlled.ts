/** A real server with its control socket and a client connected, for tests of commands. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { ControlClient } from './control-client.ts';
import { fixture, type Server, type ServerOptions, Site, serve } from './harness.ts';

// biome-ignore lint/suspicious/noExplicitAny: each command's data is another.
export type Data = any;

export interface Controlled {
  site: Site;
  server: Server;
  client: ControlClient;
  /** Sends a command that must be answered with data. */
  ask(command: string): Promise<Data>;
  /** Sends a command that must be answered with an error. */
  refused(command: string): Promise<string>;
}

export async function controlled(
  t: TestContext,
  args: readonly string[] = ['-w', '2'],
  { app = fixture('app.mjs'), ...options }: ServerOptions & { app?: string } = {},
): Promise<Controlled> {
  const site = new Site(t);
  const server = await serve(t, app, args, { control: true, cwd: site.directory, ...options });
  await server.told(/^control socket at /);
  const client = await ControlClient.connect(site.path('kirin.ctl'));
  t.after(() => client.destroy());
  return {
    site,
    server,
    client,
    async ask(command) {
      const { status, data, error } = await client.ask(command);
      assert.equal(status, 'ok', error);
      return data;
    },
    async refused(command) {
      const { status, error } = await client.ask(command);
      assert.equal(status, 'error', command);
      return error!;
    },
  };
}
