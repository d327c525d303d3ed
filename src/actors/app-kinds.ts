/**
 * What an app may export, and how each becomes a server. Runs in web workers. The rules are told to the user by
 * `SERVED`; the order of `recognize` matters, since frameworks wear each other's features.
 */
import type { RequestListener } from 'node:http';
import net, { type Server } from 'node:net';
import { createEdgeServer, speaksHttp2 } from './edge.ts';
import { FaultError } from './fault-error.ts';
import { servesHttp } from './listen-hook.ts';

/** A server that the app's requests go to, not yet listening. */
export interface Servable {
  kind: 'server' | 'fastify' | 'koa' | 'fetch' | 'handler';
  server: Server;
  /** Made here, so its time limits are ours to choose; else the app's own. */
  ours: boolean;
  /** The function that answers requests, where the app exported one. */
  handler?: unknown;
  /** The framework's own close. */
  close?: () => unknown;
}

export const SERVED =
  'a (req, res) function, an Express, Koa, Fastify or Hono app, an object with fetch(request), an http.Server, ' +
  'a function that returns one of these, or a script that calls listen() itself';

type Bag = Record<string, unknown>;

const isObject = (value: unknown): value is Bag => typeof value === 'object' && value !== null;
const isFunction = (value: unknown): value is (...args: unknown[]) => unknown => typeof value === 'function';
const isClass = (value: unknown): boolean =>
  isFunction(value) && /^class\b/.test(Function.prototype.toString.call(value));

/** Recognized, with what remains to be done to get a server. */
type Recognized = { serve(): Promise<Servable> };

/** A servable thing; `factory` for a function to be called for one; undefined for anything else. */
export function recognize(value: unknown): Recognized | 'factory' | undefined {
  if (value instanceof net.Server) {
    if (!servesHttp(value)) return undefined;
    return { serve: async () => ({ kind: 'server', server: value, ours: false }) };
  }
  if (isObject(value)) {
    if (value['server'] instanceof net.Server) return { serve: () => fromFastify(value) };
    if (isFunction(value['callback']) && isFunction(value['use'])) return { serve: () => fromKoa(value) };
    if (isFunction(value['fetch'])) return { serve: () => fromFetch(value) };
    return undefined;
  }
  if (!isFunction(value) || isClass(value)) return undefined;
  const bag = value as unknown as Bag;
  const isExpress = isFunction(bag['handle']) && isFunction(bag['use']);
  if (isExpress) return { serve: async () => fromExpress(value) };
  if (isFunction(bag['fetch'])) return { serve: () => fromFetch(bag) };
  if (value.length >= 2) return { serve: async () => fromHandler(value, 'handler', value) };
  return 'factory';
}

function fromHandler(handler: unknown, kind: Servable['kind'], exported: unknown): Servable {
  return { kind, server: createEdgeServer(handler as RequestListener), ours: true, handler: exported };
}

/** Express puts prototypes of its own under requests and answers, which those of HTTP/2 do not survive: any client would end the worker. */
function fromExpress(app: unknown): Servable {
  if (speaksHttp2())
    throw new FaultError(
      'settings.invalid',
      '--http2: an Express app cannot answer HTTP/2: leave --http2 out, or let a proxy speak it',
    );
  return fromHandler(app, 'handler', app);
}

/** Fastify, and whatever else carries its own server. */
async function fromFastify(app: Bag): Promise<Servable> {
  if (isFunction(app['ready'])) await app['ready']();
  // Read again: a `serverFactory` may have made it meanwhile.
  return { kind: 'fastify', server: app['server'] as Server, ours: false, ...closing(app) };
}

async function fromKoa(app: Bag): Promise<Servable> {
  return fromHandler((app as { callback(): unknown }).callback(), 'koa', app);
}

async function fromFetch(app: Bag): Promise<Servable> {
  const { getRequestListener } = await import('@hono/node-server');
  const target = app as { fetch(request: Request, env: unknown): Response | Promise<Response> };
  const listener = getRequestListener((request, env) => target.fetch(request, env));
  return { ...fromHandler(listener, 'fetch', app), ...closing(app) };
}

/** The close of a framework's instance. That of a bare server is ours to call. */
export function frameworkClose(app: unknown): (() => unknown) | undefined {
  if (!isObject(app) || app instanceof net.Server || !isFunction(app['close'])) return undefined;
  if (!(app['server'] instanceof net.Server) && !isFunction(app['fetch'])) return undefined;
  return () => (app as { close(): unknown }).close();
}

function closing(app: Bag): { close?: () => unknown } {
  const close = frameworkClose(app);
  return close ? { close } : {};
}

/** What a value is, for a message: 'a string', 'a class', 'an object with the keys a, b'. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (isClass(value)) return `the class ${(value as { name: string }).name || '(anonymous)'}`;
  if (isFunction(value)) return 'a function';
  if (!isObject(value)) return `a ${typeof value}`;
  if (Array.isArray(value)) return 'an array';
  const maker = Object.getPrototypeOf(value)?.constructor?.name;
  if (typeof maker === 'string' && maker !== 'Object') return `an instance of ${maker}`;
  const keys = Object.keys(value);
  return keys.length === 0 ? 'an empty object' : `an object with ${listed(keys)}`;
}

const NAMES_MAX = 8;

/** `a, b and c`, cut after some. */
export function listed(names: readonly string[]): string {
  if (names.length > NAMES_MAX)
    return `${names.slice(0, NAMES_MAX).join(', ')} and ${names.length - NAMES_MAX} more`;
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
