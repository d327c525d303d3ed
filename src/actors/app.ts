/**
 * From a loaded module to something to serve. Runs in web workers.
 *
 * An export named by the user (`MODULE:EXPORT`) must exist. Else the default export is taken (of a CommonJS module
 * that is `module.exports`), else one named `app`, `server` or `handler`, else an exported `fetch`. A function with
 * fewer than two parameters is a factory: it is called with `{}`, and what it returns or resolves to is served.
 */
import type { AppSpec } from '../machines/events/worker.ts';
import { errorLine } from './app-errors.ts';
import { describe, frameworkClose, listed, recognize, SERVED, type Servable } from './app-kinds.ts';
import type { Exports } from './app-loader.ts';
import { FaultError } from './fault-error.ts';
import { hopeful } from './patience.ts';

const CONVENTIONAL = ['app', 'server', 'handler'];

/** What the user's module offers to be served. */
export interface Offer {
  value: unknown;
  /** Its name, for messages. */
  name: string;
}

/** Names that Node adds to the namespace of a CommonJS module. */
const isReal = (name: string) => name !== '__esModule' && name !== 'module.exports';

/** The bags in which an export may lie: the namespace, and what CommonJS and its transpilers put around it. */
function bags(exports: Exports): Exports[] {
  const found: Exports[] = [exports];
  let inner = exports['default'];
  for (let depth = 0; depth < 2 && isPlain(inner) && recognize(inner) === undefined; depth++) {
    found.push(inner);
    inner = inner['default'];
  }
  return found;
}

function isPlain(value: unknown): value is Exports {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The default export, unwrapped where it is itself the namespace of a transpiled module. */
function defaultOf(exports: Exports): unknown {
  let value = exports['default'];
  for (let depth = 0; depth < 2; depth++) {
    if (!isPlain(value) || !('default' in value) || recognize(value) !== undefined) break;
    value = value['default'];
  }
  return value;
}

/** The names a module exports, as the user would write them. */
export function exportNames(exports: Exports): string[] {
  return [...new Set(bags(exports).flatMap((bag) => Object.keys(bag)))].filter(isReal);
}

/** What to serve of a module; undefined where nothing in it could be. Throws app.exportMissing. */
export function choose(spec: AppSpec, exports: Exports): Offer | undefined {
  const { exportName } = spec;
  if (exportName !== undefined) {
    const bag = bags(exports).find((each) => exportName in each);
    if (bag)
      return { value: exportName === 'default' ? defaultOf(exports) : bag[exportName], name: exportName };
    const names = exportNames(exports);
    const having = names.length === 0 ? 'it exports nothing' : `it exports ${listed(names)}`;
    throw new FaultError('app.exportMissing', `${spec.path} has no export ${exportName}: ${having}`);
  }
  const value = defaultOf(exports);
  if (recognize(value) !== undefined || value instanceof Promise) return { value, name: 'default' };
  for (const name of CONVENTIONAL) {
    const bag = bags(exports).find((each) => recognize(each[name]) !== undefined);
    if (bag) return { value: bag[name], name };
  }
  if (typeof exports['fetch'] === 'function') return { value: { fetch: exports['fetch'] }, name: 'fetch' };
  // An object is what every CommonJS script exports, asked or not: it may yet listen. Anything else is an error.
  return value === undefined || isPlain(value) ? undefined : { value, name: 'default' };
}

/** Makes a server of what was chosen; undefined where a factory returned nothing. */
export async function resolveOffer(spec: AppSpec, offer: Offer): Promise<Servable | undefined> {
  let { value } = offer;
  let how = `its export ${offer.name}`;
  value = await started(spec, how, async () => value);
  let recognized = recognize(value);
  if (recognized === 'factory') {
    const factory = value as (options: object) => unknown;
    how = `the factory ${offer.name}`;
    value = await started(spec, how, async () => factory({}));
    if (value === undefined) return undefined;
    recognized = recognize(value);
    if (recognized === 'factory' || recognized === undefined)
      throw new FaultError(
        'app.notServable',
        `${spec.path}: ${how} returned ${describe(value)}${hint(value)}; ${serves}`,
      );
  }
  if (recognized === undefined)
    throw new FaultError('app.notServable', `${spec.path}: ${how} is ${describe(value)}; ${serves}`);
  const { serve } = recognized;
  return started(spec, how, serve);
}

const serves = `Kirin serves ${SERVED}`;

/** The slip that is easiest to make: a web-standard handler has one parameter, and is taken for a factory. */
function hint(value: unknown): string {
  return typeof Response === 'function' && value instanceof Response
    ? ' (export { fetch } to answer requests)'
    : '';
}

/** What to say when a module offers nothing and did not listen either. */
export function nothingToServe(spec: AppSpec, exports: Exports, offer: Offer | undefined): FaultError {
  const names = exportNames(exports).filter((name) => name !== 'default');
  const isUndefined = bags(exports).some(
    (bag) => Object.hasOwn(bag, 'default') && bag['default'] === undefined,
  );
  const exported =
    names.length > 0
      ? `exports only ${listed(names)}${isUndefined ? ' (its default is undefined)' : ''}`
      : `exports ${isUndefined ? 'undefined' : 'nothing'}`;
  const what = offer ? `its factory ${offer.name} returned nothing` : exported;
  return new FaultError(
    'app.notServable',
    `${spec.path}${offer ? ':' : ''} ${what} and did not listen; ${serves}`,
  );
}

async function started<T>(spec: AppSpec, how: string, run: () => Promise<T>): Promise<T> {
  try {
    return await hopeful(
      run(),
      () => new Error('it never finished: what it waits for cannot happen any more'),
    );
  } catch (error) {
    if (error instanceof FaultError) throw error;
    const stack = error instanceof Error ? error.stack : undefined;
    throw new FaultError('app.startFailed', `${spec.path}: ${how} failed: ${errorLine(error)}`, stack);
  }
}

/** The module's own `close`, and that of a framework that it exports though it listened itself; in that order. */
export function closesOf(exports: Exports): { own?: () => unknown; framework?: () => unknown } {
  const bag = bags(exports).find((each) => typeof each['close'] === 'function');
  const framework = frameworkClose(defaultOf(exports));
  return {
    ...(bag && { own: () => (bag as { close(): unknown }).close() }),
    ...(framework && { framework }),
  };
}
