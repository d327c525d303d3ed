/**
 * Places in the files that a person has written, where what runs was made from them and names its source map: that is what a stack
 * is read for. Runs in the thread of `thread.ts`, when a stack is taken. A map that cannot be read is as good as none.
 */
import { readFileSync, statSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';

const MAP_BYTES_MAX = 32 * 1024 * 1024;

export interface Script {
  /** A file URL, a path (CommonJS), or Node.js's own name. */
  url: string;
  sourceMapUrl?: string | undefined;
}

export class SourcePlaces {
  readonly #maps = new Map<string, { map: SourceMap; base: string } | undefined>();

  /** `/app/src/a.ts:3:5`; line and column count from 0. */
  of(script: Script, line: number, column: number): string {
    const found = this.#mapOf(script);
    const entry = found?.map.findEntry(line, column);
    if (found && entry && 'originalSource' in entry && entry.originalSource)
      return shown(resolved(entry.originalSource, found.base), entry.originalLine, entry.originalColumn);
    return shown(script.url, line, column);
  }

  #mapOf(script: Script): { map: SourceMap; base: string } | undefined {
    const { url, sourceMapUrl } = script;
    if (!sourceMapUrl) return undefined;
    if (!this.#maps.has(url)) this.#maps.set(url, mapIn(baseOf(url), sourceMapUrl));
    return this.#maps.get(url);
  }
}

const baseOf = (url: string): string => (url.startsWith('/') ? `file://${encodeURI(url)}` : url);

function mapIn(scriptBase: string, sourceMapUrl: string): { map: SourceMap; base: string } | undefined {
  try {
    const inline = /^data:application\/json[^,]*?(;base64)?,(.*)$/s.exec(sourceMapUrl);
    const base = inline ? scriptBase : new URL(sourceMapUrl, scriptBase).href;
    const text = inline
      ? inline[1]
        ? Buffer.from(inline[2]!, 'base64').toString()
        : decodeURIComponent(inline[2]!)
      : fileText(fileURLToPath(base));
    return { map: new SourceMap(JSON.parse(text) as SourceMapPayload), base };
  } catch {
    return undefined;
  }
}

function fileText(path: string): string {
  if (statSync(path).size > MAP_BYTES_MAX) throw new Error(`${path} is too large`);
  return readFileSync(path, 'utf8');
}

function resolved(source: string, base: string): string {
  try {
    return new URL(source, base).href;
  } catch {
    return source;
  }
}

function shown(url: string, line: number, column: number): string {
  let path = url;
  try {
    if (url.startsWith('file:')) path = fileURLToPath(url);
  } catch {
    // As it is.
  }
  return `${path || '<anonymous>'}:${line + 1}:${column + 1}`;
}
