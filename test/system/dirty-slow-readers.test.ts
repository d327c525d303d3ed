/** A browser that does not read: the example and the documentation show how it slows the model down, instead of filling memory. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RawClient } from './client.ts';
import { eventually, Site, serve } from './harness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CHUNKS = 2000;
/** Looks at a number that has to be the same as often, until it counts as one that stands still. */
const LOOKS = 60;

const MODEL = `
  import { writeFileSync } from 'node:fs';
  import { DirtyApp } from 'kirin';
  export class Model extends DirtyApp {
    async *tokens() {
      for (let produced = 1; produced <= ${CHUNKS}; produced++) {
        writeFileSync('produced', String(produced));
        yield 'x'.repeat(64 * 1024);
      }
    }
  }`;

/** What docs/dirty.md shows in a web app, as the body of one. */
function documented(): string {
  const text = readFileSync(new URL('../../docs/dirty.md', import.meta.url), 'utf8');
  const [, snippet] = /```js\n\/\/ app\.js\n(.*?)```/s.exec(text)!;
  const imports = snippet!.split('\n').filter((line) => line.startsWith('import'));
  const rest = snippet!.slice(snippet!.indexOf('const gone'));
  const body = rest.replaceAll('./ml.js', './model.js');
  return `${imports.join('\n')}\nexport default async (request, response) => {
    const prompt = '';
    try { ${body} } catch { return; }
    response.end('event: done\\ndata:\\n\\n');
  };`;
}

const apps = {
  'the example': () => readFileSync(new URL('../../examples/dirty-tokens/app.js', import.meta.url), 'utf8'),
  'the documentation': documented,
};

describe('a reader that does not read', { concurrency: 2 }, () => {
  for (const [name, app] of Object.entries(apps))
    test(`of ${name} is waited for, and gets all when it reads`, async (t) => {
      const site = new Site(t);
      site.write('app.mjs', app());
      site.write('model.js', MODEL);
      site.write('package.json', '{ "type": "module" }');
      site.write('produced', '0');
      mkdirSync(site.path('node_modules'));
      symlinkSync(root, site.path('node_modules/kirin'));
      const args = ['--dirty-workers', '1', '--dirty-app', './model.js:Model'];
      const server = await serve(t, './app.mjs', args, { cwd: site.directory });
      const client = await RawClient.connect(server.port);
      t.after(() => client.socket.destroy());
      client.socket.pause();
      client.ask('/tokens');
      const produced = (): number => Number(site.read('produced'));
      let [last, same] = [0, 0];
      await eventually('nothing more is produced', () => {
        const now = produced();
        same = now > 0 && now === last ? same + 1 : 0;
        last = now;
        return same >= LOOKS;
      });
      assert.ok(last < CHUNKS, `all ${last} were produced, though nobody has read one`);
      client.socket.resume();
      await eventually('everything has come', () => client.text.length > CHUNKS * 64 * 1024);
      await eventually('it has ended', () => client.text.slice(-200).includes('event: done'));
      assert.equal(produced(), CHUNKS);
      client.socket.destroy();
      assert.equal(await server.stop(), 0, server.tail());
    });
});
