/** `--reload` on real servers: files of the app are edited as editors do it, and what is served is looked at. */
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import http from 'node:http';
import { describe, type TestContext, test } from 'node:test';
import { command, launch, type Server, Site } from './harness.ts';

/** What an app imports. */
const KIRIN = command('kirin').replace(/kirin\.js$/, 'index.js');

type Files = Record<string, string>;

class Project {
  readonly site: Site;
  readonly server: Server;

  constructor(t: TestContext, app: string, files: Files, args: string[] = []) {
    this.site = new Site(t);
    for (const [name, text] of Object.entries(files)) this.site.write(name, text);
    this.server = launch(t, app, ['--reload', ...args], { cwd: this.site.directory });
  }

  static async serve(t: TestContext, app: string, files: Files, args: string[] = []): Promise<Project> {
    const project = new Project(t, app, files, args);
    await project.server.told(/^serving /);
    return project;
  }

  /** As editors do that keep the old file until the new one is whole. */
  rename(name: string, text: string): void {
    renameSync(this.site.write(`${name}.tmp`, text), this.site.path(name));
  }

  async answers(text: string): Promise<void> {
    await this.server.until(`it answers ${text}`, async () => {
      const answer = await this.server.get('/').catch(() => undefined);
      return answer?.text === text;
    });
  }
}

const esm = (from = './lib/word.mjs'): string =>
  `import { word } from '${from}'; export default (q, s) => s.end(word);`;
const word = (text: string): string => `export const word = '${text}';`;

describe('--reload', { concurrency: true }, () => {
  test('follows the imports of ES modules, new ones too, and how editors save', async (t) => {
    const project = await Project.serve(t, 'app.mjs', {
      'app.mjs': esm('./lib/outer.mjs'),
      'lib/outer.mjs': "export { word } from './word.mjs';",
      'lib/word.mjs': word('1'),
    });
    const { site, server } = project;
    await project.answers('1');
    site.write('lib/word.mjs', word('2'));
    await project.answers('2');
    project.rename('lib/word.mjs', word('3'));
    await project.answers('3');
    project.rename('lib/word.mjs', word('4'));
    await project.answers('4');
    site.write('other/new.mjs', word('5'));
    site.write('lib/outer.mjs', "export { word } from '../other/new.mjs';");
    await project.answers('5');
    site.write('other/new.mjs', word('6'));
    await project.answers('6');
    assert.deepEqual(server.all(/^reload failed|unexpectedly|could not boot/), []);
    await server.told(/^changed: .*other\/new\.mjs/);
  });

  test('follows what CommonJS requires; a file that is deleted is missed until it is there again', async (t) => {
    const project = await Project.serve(t, 'app.cjs', {
      'app.cjs': "const { word } = require('./lib/outer'); module.exports = (q, s) => s.end(word());",
      'lib/outer.js': "exports.word = () => require('./data.json').word;",
      'lib/data.json': '{ "word": "1" }',
    });
    const { site, server } = project;
    await project.answers('1');
    // Loaded by the first request alone.
    site.write('lib/data.json', '{ "word": "2" }');
    await project.answers('2');
    // A change before its commit would supersede it.
    await server.told(/^reload done/);
    const from = server.mark();
    site.remove('lib/outer.js');
    await server.told(/^reload failed: .*Cannot find module '\.\/lib\/outer'/, from);
    await project.answers('2');
    site.write('lib/outer.js', "exports.word = () => '3';");
    await project.answers('3');
  });

  test('a start that fails waits for the change that mends it', async (t) => {
    const project = new Project(t, 'app.mjs', { 'app.mjs': esm(), 'lib/word.mjs': "export const word '1';" });
    const { site, server } = project;
    const failed = await server.told(/could not boot/);
    assert.match(failed.msg, /SyntaxError: .*lib\/word\.mjs:1\)/);
    assert.match(failed.stack ?? '', /export const word '1'/);
    await server.told(/^waiting for a change that mends it/);
    let from = server.mark();
    site.write('lib/word.mjs', "throw new Error('at the start'); export const word = 1;");
    await server.told(/could not boot.*at the start.*word\.mjs:1/, from);
    await server.told(/^waiting for a change that mends it/, from);
    from = server.mark();
    site.write('lib/word.mjs', 'process.exit(7); export const word = 1;');
    await server.told(/the app called process\.exit\(7\)/, from);
    await server.told(/^waiting for a change that mends it/, from);
    site.write('app.mjs', esm('./missing.mjs'));
    await server.told(/Cannot find module .*missing\.mjs/, from);
    await server.told(/^waiting for a change that mends it/, server.mark() - 1);
    site.write('missing.mjs', word('1'));
    await server.told(/^serving /);
    await project.answers('1');
    assert.equal(await server.stop(), 0);
  });

  test('a first start that hangs is mended by a change as well, and so is a worker that crashes again and again', async (t) => {
    const project = new Project(t, 'app.mjs', { 'app.mjs': "console.log('here'); for (;;);" });
    const { site, server } = project;
    await server.printed(/here/);
    site.write(
      'app.mjs',
      "setTimeout(() => { throw new Error('later'); }); export default (q, s) => s.end('1');",
    );
    await server.told(/ended unexpectedly.*later/);
    site.write('app.mjs', "export default (q, s) => s.end('2');");
    await project.answers('2');
  });

  test('directories that come later, and one that is deleted and comes again', async (t) => {
    const project = await Project.serve(t, 'app.mjs', { 'app.mjs': esm(), 'lib/word.mjs': word('1') }, [
      '--reload-extra-file',
      'views/deep/*.html',
    ]);
    const { site, server } = project;
    await project.answers('1');
    site.remove('lib');
    await server.told(/^reload failed: .*Cannot find module/);
    site.write('lib/word.mjs', word('2'));
    await project.answers('2');
    site.write('lib/word.mjs', word('3'));
    await project.answers('3');
    site.write('views/deep/page.html', '');
    await server.told(/^changed: views\/deep\/page\.html/);
  });

  test('a stop while it waits ends it: exit 0', async (t) => {
    const { server } = new Project(t, 'app.mjs', { 'app.mjs': 'nonsense(' });
    await server.told(/^waiting for a change that mends it/);
    assert.equal(await server.stop('SIGINT'), 0, server.tail());
  });

  test('what is broken later changes nothing, and is told with its place', async (t) => {
    const project = await Project.serve(t, 'app.mjs', { 'app.mjs': esm(), 'lib/word.mjs': word('1') });
    const { site, server } = project;
    await project.answers('1');
    site.write('lib/word.mjs', 'export const word = ;');
    await server.told(/^reload failed: .*SyntaxError.*lib\/word\.mjs:1\); nothing was changed/);
    await project.answers('1');
    site.write('lib/word.mjs', word('2'));
    await project.answers('2');
  });

  test('TypeScript, files that are not imported, the configuration, and node_modules', async (t) => {
    const project = await Project.serve(
      t,
      'app.ts',
      {
        'app.ts': `import { readFileSync } from 'node:fs'; import { word } from './word.ts'; import { fixed } from 'fixed';
          export default (q: unknown, s: { end(text: string): void }) => s.end(word + readFileSync('views/a/page.html', 'utf8') + process.env.MORE + process.env.NODE_ENV + fixed);`,
        'word.ts': "export const word: string = '1';",
        'views/a/page.html': 'a',
        'node_modules/fixed/package.json': '{ "type": "module", "exports": "./index.js" }',
        'node_modules/fixed/index.js': "export const fixed = '';",
        'kirin.config.json': '{ "env": { "MORE": "x" } }',
      },
      ['--reload-extra-file', 'views/**/*.html'],
    );
    const { site, server } = project;
    await project.answers('1axdevelopment');
    site.write('node_modules/fixed/index.js', "export const fixed = '!';");
    site.write('views/a/page.txt', 'not one of them');
    site.write('word.ts', "export const word: string = '2';");
    await project.answers('2axdevelopment!');
    site.write('views/a/page.html', 'b');
    await server.told(/^changed: views\/a\/page\.html/);
    site.write('views/b/c/new.html', '');
    await server.told(/^changed: views\/b\/c\/new\.html/);
    site.write('kirin.config.json', '{ "env": { "MORE": "y", "NODE_ENV": "test" } }');
    await project.answers('2bytest!');
    assert.deepEqual(server.all(/^changed: .*(fixed|\.txt)/), []);
  });

  test("dirty workers' apps count too, and a stop is quick where the app's clean-up hangs", async (t) => {
    const model = (text: string): string =>
      `import { DirtyApp } from ${JSON.stringify(KIRIN)}; export class Model extends DirtyApp { word() { return '${text}'; } }`;
    const app = `import { dirty, onClose } from ${JSON.stringify(KIRIN)};
      onClose(() => new Promise((resolve) => setTimeout(resolve, 1e6)));
      export default async (q, s) => s.end(await dirty.execute('./model.mjs:Model', 'word'));`;
    const project = await Project.serve(t, 'app.mjs', { 'app.mjs': app, 'model.mjs': model('1') }, [
      '--dirty-workers',
      '1',
      '--dirty-app',
      './model.mjs:Model',
    ]);
    await project.answers('1');
    project.site.write('model.mjs', model('2'));
    await project.server.told(/^changed: model\.mjs/);
    await project.answers('2');
    await project.server.told(/^reload done/);
    // On a machine that is busy its arbiter may have to kill it; either way nobody waits for the clean-up.
    assert.equal(await project.server.stop('SIGINT'), 0);
  });

  test('idle connections are not waited for, and a request in flight is answered', async (t) => {
    const project = await Project.serve(
      t,
      'app.mjs',
      {
        'app.mjs': `import { word } from './lib/word.mjs';
          let held; export default (q, s) => { if (q.url === '/held') held = s; else s.end(word); };
          import { onDrain } from ${JSON.stringify(KIRIN)};
          onDrain(() => held?.end(word));`,
        'lib/word.mjs': word('1'),
      },
      ['--reload-engine', 'poll', '-w', '2'],
    );
    const { site, server } = project;
    await server.settled(2);
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    assert.equal((await server.get('/', { agent })).text, '1');
    const held = server.get('/held');
    await server.until('it has arrived', async () => (await server.get('/')).text === '1');
    site.write('lib/word.mjs', word('2'));
    await project.answers('2');
    assert.equal((await held).text, '1');
    await server.settled(2, 2);
  });
});
