/**
 * Which of an app's own listens is the site's. Runs in web workers, on behalf of the web server.
 *
 * The first listen of an HTTP server on a fixed port or path is. Only where there is none, and no export either, it
 * is the first of another TCP server on a fixed port, and else of a server that asked for any port (`listen(0)`) or,
 * speaking no HTTP, for a path: who looks for a free port, or talks to children of its own, listens so as well.
 * Whatever the user named (`MODULE:EXPORT`) comes before all of them.
 */
import type { Cluster } from 'node:cluster';
import { isIPv4, type Server } from 'node:net';
import { appBridge } from './app-bridge.ts';
import type { Servable } from './app-kinds.ts';
import { FaultError } from './fault-error.ts';
import { type AskedListen, type ListenFate, pretendListening, servesHttp } from './listen-hook.ts';
import { OwnListen } from './own-listen.ts';
import type { Notice } from './supervised.ts';

/** How long a script that listens on any port may take to listen on a fixed one as well. */
const ADOPT_MS = 1_000;

/** What the web server is to its app's listens. */
export interface Site {
  /** What is served; undefined while nothing is. */
  readonly server: Server | undefined;
  /** The function that answers requests, where the app exported one that is served. */
  readonly handler: unknown;
  /** Serves what listened. */
  take(server: Server): void;
  /** The app cannot be served at all. */
  fail(fault: FaultError): void;
  notice: Notice;
  /** The addresses that are served, for messages. */
  addresses: string;
}

export class ScriptListens {
  readonly #site: Site;
  /** Where the user named what to serve: the listens that may yet be of that. */
  #undecided: OwnListen[] | undefined;
  /** Other servers on fixed ports, which look as if they listened until it is known who is served. */
  #raw: OwnListen[] = [];
  /** Servers that listen on any port, or, speaking no HTTP, on a path. */
  #passed: OwnListen[] = [];
  readonly #own = new Set<OwnListen>();
  /** The module has ended, and offers nothing to serve. */
  #wanted = false;
  #timer: NodeJS.Timeout | undefined;
  #firstPort: number | undefined;

  constructor(site: Site, { named }: { named: boolean }) {
    this.#site = site;
    if (named) this.#undecided = [];
  }

  /** How many listens wait for what the user named. */
  get waiting(): number {
    return this.#undecided?.length ?? 0;
  }

  /** Whose listen is this? */
  onListen(asked: AskedListen): ListenFate {
    const { server, port, label } = asked;
    const { server: served } = this.#site;
    if (served !== undefined && this.#isSameSite(server, port)) {
      pretendListening(server, served);
      this.#isServedAlready(asked);
      return 'pretend';
    }
    if (isOfCluster(server)) {
      this.#site.fail(new FaultError('app.notServable', OF_CLUSTER));
      return 'pass';
    }
    const isHttp = servesHttp(server);
    if (port === 0 || (port === undefined && (!isHttp || served !== undefined))) {
      if (served === undefined && this.#undecided === undefined) this.#passed.push(new OwnListen(asked));
      if (this.#wanted) this.#adoptLater();
      // A path is how processes talk among themselves.
      const level = port === undefined ? 'debug' : 'info';
      this.#site.notice(level, `script listens on ${label} itself, in this worker`);
      return 'pass';
    }
    const own = new OwnListen(asked);
    if (served !== undefined || (!isHttp && this.#undecided !== undefined)) this.#listenItself(own);
    else if (!isHttp) this.#mayBe(own);
    else if (this.#undecided !== undefined) {
      this.#undecided.push(own);
      own.pretend();
    } else this.#take(asked);
    return 'take';
  }

  /** What the user named is known: its listen is taken, and the others are left to the app. */
  decide(
    servable: Servable | undefined,
    exported: unknown,
    listenedBefore: number,
    serve: (servable: Servable) => Promise<void>,
  ): Promise<void> | undefined {
    const undecided = this.#undecided ?? [];
    this.#undecided = undefined;
    // A factory that returned nothing has listened itself.
    const chosen = servable
      ? undecided.find(({ asked }) => isOf(servable, exported, asked.server))
      : undecided[listenedBefore];
    let serving: Promise<void> | undefined;
    if (chosen) {
      chosen.yield();
      this.#take(chosen.asked);
    } else if (servable) serving = serve(servable);
    const leave = () => {
      for (const own of undecided) {
        if (own === chosen) continue;
        if (this.#isSameSite(own.asked.server, own.asked.port)) this.#isServedAlready(own.asked);
        else this.#listenItself(own);
      }
    };
    if (serving) return serving.then(leave);
    leave();
    return undefined;
  }

  /** The module has ended and offers nothing: what listens is served, now or when it does. */
  adopt(): void {
    this.#wanted = true;
    const own = this.#raw.find(({ asked }) => asked.server.listening);
    if (own) this.#takeOver(own);
    else this.#adoptLater();
  }

  /** Something is served: the other servers get the ports they asked for. */
  settled(): void {
    clearTimeout(this.#timer);
    this.#passed = [];
    for (const own of this.#raw.splice(0)) if (own.asked.server.listening) this.#listenItself(own);
  }

  /** What was taken has been closed again. */
  forget(): void {
    this.#firstPort = undefined;
  }

  /** No more attempts. */
  stop(): void {
    clearTimeout(this.#timer);
    for (const own of this.#own) own.stop();
  }

  #mayBe(own: OwnListen): void {
    if (this.#wanted) return this.#take(own.asked);
    this.#raw.push(own);
    own.pretend();
  }

  #adoptLater(): void {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#site.server !== undefined) return;
      const there = this.#passed.filter(({ asked }) => asked.server.listening);
      const own = there.find(({ asked }) => servesHttp(asked.server)) ?? there[0];
      if (own) this.#takeOver(own);
    }, ADOPT_MS);
    // A script that has nothing more to do is not waited for.
    this.#timer.unref();
  }

  #takeOver(own: OwnListen): void {
    this.#raw = this.#raw.filter((other) => other !== own);
    own.yield();
    this.#take(own.asked);
  }

  #take({ server, port, label }: AskedListen): void {
    this.#firstPort = port;
    this.#say(`script asked for ${label}, serving ${this.#site.addresses}`);
    this.#site.take(server);
  }

  #isServedAlready({ server, label }: AskedListen): void {
    const { server: served } = this.#site;
    // WebSocket libraries attach themselves to the server that they were given.
    if (server !== served && server.listenerCount('upgrade') > 0)
      served?.on('upgrade', (...args) => void server.emit('upgrade', ...args));
    this.#say(`script asked for ${label} too, which is served already`);
  }

  /** A port beside those that are served: of all workers that ask for it, the one in slot 0 gets it. */
  #listenItself(own: OwnListen): void {
    const { label, host } = own.asked;
    const { notice } = this.#site;
    if (!isFirstWorker()) {
      own.pretend();
      return;
    }
    // One for this machine alone is a helper's (metrics, a debugger): that one worker has it is what is wanted.
    if (!isLoopback(host))
      notice(
        'warn',
        `script also listens on ${label} by itself, which only one worker at a time can, the one in slot 0: ` +
          'use port 0 or --bind',
      );
    this.#own.add(own);
    own.listen(() => notice('debug', `script listens on ${label} itself`));
  }

  /** The same port on another host (Fastify does so for localhost), or the app that is served as an export. */
  #isSameSite(server: Server, port: number | undefined): boolean {
    const { server: served, handler } = this.#site;
    if (server === served) return true;
    if (handler !== undefined && server.listeners('request').includes(handler as () => void)) return true;
    const address = served?.address();
    const own = typeof address === 'object' ? address?.port : undefined;
    return port !== undefined && port !== 0 && (port === this.#firstPort || port === own);
  }

  /** Every worker would say the same: it is told once, by the one in slot 0. */
  #say(text: string): void {
    this.#site.notice(isFirstWorker() ? 'info' : 'debug', text);
  }
}

const isFirstWorker = (): boolean => (appBridge.worker?.slot ?? 0) === 0;

const isLoopback = (host: string | undefined): boolean =>
  host === 'localhost' || host === '::1' || (host !== undefined && isIPv4(host) && host.startsWith('127.'));

const OF_CLUSTER =
  'the script forks workers of its own (node:cluster), which is what -w does: serve the file that its workers run, ' +
  'or let it not fork where KIRIN_WORKER_AGE is set';

/** A primary of node:cluster listens for its workers with a server whose 'connection' is Node's own `assert.fail`. */
const isOfCluster = (server: Server): boolean =>
  server.listeners('connection').some(({ name }) => name === 'fail') &&
  Object.keys((process.getBuiltinModule('cluster') as unknown as Cluster).workers ?? {}).length > 0;

/** Whether a server that listens is that of an export: the export itself, or made of it. */
function isOf({ server, handler }: Servable, exported: unknown, listening: Server): boolean {
  if (listening === server || listening === exported) return true;
  const answers = listening.listeners('request') as unknown[];
  return [handler, exported].some((one) => typeof one === 'function' && answers.includes(one));
}
