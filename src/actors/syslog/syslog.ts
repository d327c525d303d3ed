/**
 * Sends one log to a syslog server. Runs in the arbiter for Kirin's log, and in web workers for that of requests; loaded only with
 * `--syslog`. Whatever becomes of the server, nothing waits for it: what cannot be sent waits within a bound, what is beyond is
 * counted, and a server that is gone is tried again.
 */
import { hostname } from 'node:os';
import { Losses } from '../losses.ts';
import { composer, type Facility, onOneLine, type Severity, type Speaker, targetOf } from './message.ts';
import { openStream, openUdp, type Wire } from './wires.ts';

/** What may wait, on the way included. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
const AGAIN_MS = 1000;
/** That it is gone is told so often within such a time. */
const MISSES_MAX = 3;
const MISSES_MS = 60_000;
/** At the end, for what is still to be sent. */
const END_MS = 1000;

export interface SyslogOptions {
  /** As in settings: checked already. */
  to: string;
  facility: Facility;
  name: string;
  log: Speaker['log'];
  /** Told of a server that is not to be had, and of what was lost. */
  notice(text: string): void;
}

export class Syslog {
  readonly #options: SyslogOptions;
  readonly #losses: Losses;
  readonly #compose: ReturnType<typeof composer>;
  #wire: Wire | undefined;
  #again: NodeJS.Timeout | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #sendingBytes = 0;
  #isMissing = false;
  #misses = 0;
  #missesSinceMs = Number.NEGATIVE_INFINITY;
  #isEnding = false;
  #isClosed = false;
  #idle: (() => void) | undefined;

  constructor(options: SyslogOptions) {
    this.#options = options;
    this.#losses = new Losses((lost) =>
      options.notice(
        `${lost} message${lost === 1 ? '' : 's'} to the syslog server ${options.to} could not be sent`,
      ),
    );
    this.#compose = composer({ ...options, hostname: hostname(), pid: process.pid });
    this.#open();
  }

  /** Never throws, never waits. */
  send(severity: Severity, text: string, time = new Date().toISOString()): void {
    if (this.#isEnding) return;
    const message = this.#compose(severity, time, onOneLine(text));
    if (this.#waitingBytes + this.#sendingBytes + message.length > WAITING_BYTES_MAX)
      return this.#losses.add(1);
    if (this.#wire) return this.#write(this.#wire, message);
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
  }

  /** Resolves when all is sent, or soon. */
  async end(): Promise<void> {
    this.#isEnding = true;
    if (this.#waitingBytes + this.#sendingBytes > 0)
      await new Promise<void>((resolve) => {
        const limit = setTimeout(resolve, END_MS);
        this.#idle = () => {
          clearTimeout(limit);
          resolve();
        };
      });
    this.#isClosed = true;
    clearTimeout(this.#again);
    this.#losses.end();
    this.#wire?.close();
    this.#wire = undefined;
  }

  #open(): void {
    const target = targetOf(this.#options.to);
    if (!target) throw new Error(`${this.#options.to} is no address of syslog`);
    const events = {
      opened: (wire: Wire) => this.#opened(wire),
      broken: (why: string) => this.#broken(why),
    };
    if (target.kind === 'udp') openUdp(target, events);
    else openStream(target, events);
  }

  #opened(wire: Wire): void {
    if (this.#isClosed) return wire.close();
    this.#wire = wire;
    this.#isMissing = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const message of waiting) this.#write(wire, message);
  }

  #write(wire: Wire, message: Buffer): void {
    this.#sendingBytes += message.length;
    wire.write(message, (isSent) => {
      this.#sendingBytes -= message.length;
      if (!isSent) this.#losses.add(1);
      if (this.#waitingBytes + this.#sendingBytes === 0) this.#idle?.();
    });
  }

  /** Also where it could not be opened. */
  #broken(why: string): void {
    if (this.#isClosed) return;
    this.#wire = undefined;
    if (!this.#isMissing && !this.#isEnding && this.#mayTellMiss()) {
      this.#isMissing = true;
      this.#options.notice(`the syslog server ${this.#options.to} cannot be reached: ${why}; trying again`);
    }
    this.#again = setTimeout(() => this.#open(), AGAIN_MS);
    // What is left at the end holds the process by a limit of its own.
    this.#again.unref();
  }

  /** A server may take each connection, and close it at once. */
  #mayTellMiss(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#missesSinceMs >= MISSES_MS) {
      this.#missesSinceMs = nowMs;
      this.#misses = 0;
    }
    return ++this.#misses <= MISSES_MAX;
  }
}
