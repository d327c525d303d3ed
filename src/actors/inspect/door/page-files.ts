/** The files of the inspector's page, as they lie in the package. Runs where the inspector is served. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.map': 'application/json',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.mmd': 'text/plain; charset=utf-8',
};

export interface PageFile {
  type: string;
  body: Buffer;
}

/** Names of which each part begins with a letter or digit: there is no way up, and nothing that is hidden. */
const NAME = /^\/(?:[A-Za-z0-9][A-Za-z0-9._-]*\/){0,3}[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Beside the bundles in the package; among what was built when the sources are run directly. */
export function pageDirectory(): string {
  const built = import.meta.url.endsWith('.ts') ? '../../../../dist/inspector/' : '../inspector/';
  return fileURLToPath(new URL(built, import.meta.url));
}

/** Undefined where there is none. */
export async function pageFile(path: string, directory = pageDirectory()): Promise<PageFile | undefined> {
  const name = path === '/' ? '/index.html' : path;
  const type = TYPES[extname(name)];
  if (type === undefined || !NAME.test(name)) return undefined;
  try {
    return { type, body: await readFile(`${directory}${name.slice(1)}`) };
  } catch {
    return undefined;
  }
}
