/**
 * Finds the file and line of an ES module's syntax error, which Node tells nobody but its own crash report. Runs in
 * web workers, only when an app has failed to load: a child process parses the app's files, without running them.
 */
import { errorPlace } from './app-errors.ts';

const LIMIT_MS = 5_000;
const FILES_MAX = 500;

/**
 * Parses the module and what it imports by path, breadth first. The first syntax error is left uncaught: only Node's
 * crash report on stderr names the place.
 */
const SCRIPT = `
const vm = require('node:vm'), fs = require('node:fs'), url = require('node:url');
const queue = [url.pathToFileURL(process.argv[1]).href], seen = new Set(queue);
while (queue.length > 0) {
  const file = queue.shift();
  let source;
  try { source = fs.readFileSync(new URL(file), 'utf8'); } catch { continue; }
  let module;
  try { module = new vm.SourceTextModule(source, { identifier: file }); }
  catch (error) {
    if (!(error instanceof SyntaxError)) continue;
    try { new vm.Script(source, { filename: file }); continue; } catch {}
    throw error;
  }
  const requests = module.moduleRequests ?? module.dependencySpecifiers;
  for (const request of requests) {
    const name = request.specifier ?? request;
    if (!/^(\\.{0,2}\\/|file:)/.test(name)) continue;
    const next = new URL(name, file).href;
    if (!seen.has(next) && seen.size < ${FILES_MAX}) { seen.add(next); queue.push(next); }
  }
}`;

export function syntaxErrorPlace(path: string): Promise<{ place: string; text: string } | undefined> {
  return new Promise((resolve) => {
    const flags = ['--experimental-vm-modules', '--no-warnings', '-e', SCRIPT, path];
    // Without NODE_OPTIONS: what the app preloads has no business here.
    const { NODE_OPTIONS: _, ...env } = process.env;
    // Loaded where there is such an error: it would cost each start of a worker.
    const { execFile } = process.getBuiltinModule('node:child_process');
    execFile(process.execPath, flags, { timeout: LIMIT_MS, env }, (_error, _stdout, report) => {
      const text = report.replace(/\n+Node\.js v\S+\s*$/, '');
      const error = Object.assign(new SyntaxError(), { stack: text });
      const place = errorPlace(error);
      // Its frames are those of the child that parses, of which none is the user's.
      resolve(place === undefined ? undefined : { place, text: text.replace(/(\n\s+at .*)+$/, '') });
    });
  });
}
