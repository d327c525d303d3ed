/**
 * Sends what was counted to a statsd server, once a second, under Gunicorn's names. Runs in the arbiter with `--statsd-host`;
 * datagrams are sent and forgotten.
 */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { CALL_OUTCOMES, type CallDurations, type CallSums } from '../../machines/events/metrics.ts';
import type { Backlog } from './backlog.ts';
import type { Tally } from './tally.ts';

const SEND_MS = 1000;
/** What fits a datagram on any network. */
const DATAGRAM_BYTES_MAX = 1400;

export interface StatsdOptions {
  host: string;
  port: number;
  /** Before each name, with a dot; may be empty. */
  prefix: string;
  /** As `a:1,b:2`, for servers that understand DogStatsD; may be empty. */
  tags: string;
  tally: Tally;
  /** By dirty app. */
  calls(): readonly CallSums[];
  workers(): number;
  /** Lines of the log by level since the server began. */
  logged(): ReadonlyMap<string, number>;
  /** Connections that wait to be accepted; undefined where nobody wants to know. */
  waiting(): Promise<Backlog[] | undefined>;
}

export class Statsd {
  readonly #options: StatsdOptions;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;
  readonly #before = new Map<string, number>();

  constructor(options: StatsdOptions) {
    this.#options = options;
    this.#socket = createSocket(isIPv6(options.host) ? 'udp6' : 'udp4');
    this.#socket.on('error', () => {});
    this.#socket.unref();
    this.#timer = setInterval(() => void this.send(), SEND_MS);
    this.#timer.unref();
  }

  async send(): Promise<void> {
    const { host, port } = this.#options;
    const waiting = await this.#options.waiting();
    if (this.#isOver) return;
    for (const datagram of this.#datagrams(waiting)) this.#socket.send(datagram, port, host, () => {});
  }

  /** Sends the rest; resolves when it is on its way. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#isOver = true;
    const { host, port } = this.#options;
    const sent = this.#datagrams().map(
      (datagram) => new Promise<void>((resolve) => this.#socket.send(datagram, port, host, () => resolve())),
    );
    await Promise.all(sent);
    this.#socket.close();
  }

  #datagrams(waiting?: Backlog[]): string[] {
    const { prefix, tags } = this.#options;
    const datagrams: string[] = [];
    for (const line of this.#lines(waiting)) {
      const text = `${prefix === '' ? '' : `${prefix}.`}${line}${tags === '' ? '' : `|#${tags}`}`;
      const last = datagrams.at(-1);
      if (last !== undefined && last.length + 1 + text.length <= DATAGRAM_BYTES_MAX)
        datagrams[datagrams.length - 1] = `${last}\n${text}`;
      else datagrams.push(text);
    }
    return datagrams;
  }

  *#lines(waiting: Backlog[] | undefined): Generator<string> {
    const { tally, calls, workers, logged } = this.#options;
    const { statuses, totalMs } = tally.sums();
    const total = [...statuses.values()].reduce((sum, count) => sum + count, 0);
    const requests = this.#since('requests', total);
    const spentMs = this.#since('duration', totalMs);
    if (requests > 0) {
      yield `gunicorn.requests:${requests}|c`;
      yield meanOf('gunicorn.request.duration', spentMs, requests);
    }
    for (const [status, count] of statuses) {
      const more = this.#since(`status.${status}`, count);
      if (more > 0) yield `gunicorn.request.status.${status}:${more}|c`;
    }
    for (const [level, count] of logged()) {
      const more = this.#since(`log.${level}`, count);
      if (more > 0) yield `gunicorn.log.${level}:${more}|c`;
    }
    for (const sums of calls()) yield* this.#linesOf(sums);
    yield `gunicorn.workers:${workers()}|g`;
    // Gunicorn's kind, and one value for all addresses.
    if (waiting) yield `gunicorn.backlog:${waiting.reduce((sum, one) => sum + one.waiting, 0)}|ms`;
  }

  /** Gunicorn has no names for these. */
  *#linesOf({ app, waits, ends }: CallSums): Generator<string> {
    const name = `kirin.dirty.${app.replaceAll(/[^\w-]+/g, '_')}`;
    for (const [at, outcome] of CALL_OUTCOMES.entries()) {
      const [count, tookMs] = this.#more(`${app} ${outcome}`, ends[at]!);
      if (count === 0) continue;
      yield `${name}.${outcome}:${count}|c`;
      yield meanOf(`${name}.${outcome}.duration`, tookMs, count);
    }
    const [begun, waitedMs] = this.#more(`${app} wait`, waits);
    if (begun > 0) yield meanOf(`${name}.wait`, waitedMs, begun);
  }

  #more(name: string, { durations, totalMs }: CallDurations): [count: number, ms: number] {
    const count = durations.reduce((sum, one) => sum + one, 0);
    return [this.#since(`${name} count`, count), this.#since(`${name} ms`, totalMs)];
  }

  #since(name: string, now: number): number {
    const before = this.#before.get(name) ?? 0;
    this.#before.set(name, now);
    return now - before;
  }
}

/** One value that stands for all of this second. */
const meanOf = (name: string, ms: number, count: number): string =>
  `${name}:${(ms / count).toFixed(3)}|ms|@${(1 / count).toPrecision(6)}`;
