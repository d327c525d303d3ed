/**
 * The sockets clients connect to. Runs in the arbiter, which binds each once and never listens or accepts on
 * it: the workers inherit the descriptors. A listener belongs to the generations that want it, and ends with the
 * last of them.
 *
 * `bind` is all or nothing, one call at a time; what it takes belongs to the generation at once, so that a
 * generation that ends meanwhile does not close it.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Address, addressesOverlap, formatAddress, parseAddress, type TcpName } from './address.ts';
import { bindFault } from './bind-fault.ts';
import { FaultError } from './fault-error.ts';
import { type BoundListener, type Entry, nameOf, openEntry, placeOf } from './listener-entry.ts';

export type { BoundListener };

export interface BindOptions {
  signal?: AbortSignal;
  onRetry?(text: string): void;
}

/** What one call of `bind` has taken so far; `fresh` is what the generation did not have before. */
interface Claim {
  generation: number;
  all: Set<Entry>;
  fresh: Entry[];
}

interface TableOptions {
  /** How often an address in use is tried again. Default 5, as Gunicorn does. */
  retries?: number;
  /** Milliseconds between two tries. Default 1000. */
  retryMs?: number;
  wait?: (ms: number, signal?: AbortSignal) => Promise<unknown>;
}

export class ListenerTable {
  readonly #retries: number;
  readonly #retryMs: number;
  readonly #wait: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  #entries: Entry[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ retries = 5, retryMs = 1000, wait }: TableOptions = {}) {
    this.#retries = retries;
    this.#retryMs = retryMs;
    this.#wait = wait ?? ((ms, signal) => sleep(ms, undefined, signal ? { signal } : {}));
  }

  /**
   * Binds what is new and takes what is there, for `generation`; equal addresses count once. On a fault nothing
   * has changed. Throws FaultError `bind.*`, or `order.superseded` when `signal` aborts.
   */
  bind(addresses: string[], generation: number, options: BindOptions = {}): Promise<BoundListener[]> {
    const mine = this.#turn.then(() => this.#bindAll(addresses, generation, options));
    this.#turn = mine.catch(() => {});
    return mine;
  }

  async #bindAll(addresses: string[], generation: number, options: BindOptions): Promise<BoundListener[]> {
    const claim: Claim = { generation, all: new Set(), fresh: [] };
    try {
      const wanted = addresses.map((text) => parseAddress(text));
      for (const address of wanted) await this.#take(address, claim, options);
      throwIfAborted(options.signal);
    } catch (error) {
      for (const entry of claim.fresh) this.#drop(entry, generation);
      throw error;
    }
    return [...claim.all].map(({ address, type, fd }) => ({ address, type, fd }));
  }

  /** Claims the entry of one address: the one that is there, or a new one. */
  async #take(address: Address, claim: Claim, options: BindOptions): Promise<void> {
    const text = formatAddress(address);
    const place = await placeOf(address);
    const name = nameOf(place);
    for (let tries = 0; ; tries++) {
      throwIfAborted(options.signal);
      const known = this.#entries.find((entry) => entry.names.has(name));
      if (known) return claimEntry(known, claim);
      try {
        if (place.kind === 'tcp') this.#refuseOverlap(place.tcp, text, claim);
        const made = await openEntry(address, place);
        made.names.add(name);
        this.#admit(made, text, claim);
        return claimEntry(made, claim);
      } catch (error) {
        const fault = bindFault(text, error);
        if (fault.fault.code !== 'bind.inUse' || tries >= this.#retries) throw fault;
        const every = `${this.#retryMs / 1000} s`;
        options.onRetry?.(`${text} is in use, trying again in ${every} (${tries + 1}/${this.#retries})`);
        await this.#wait(this.#retryMs, options.signal).catch(() => {});
      }
    }
  }

  /** Puts a new entry into the table; an inherited socket shows only now what it overlaps. */
  #admit(made: Entry, text: string, claim: Claim): void {
    try {
      if (made.inherited && made.tcp) this.#refuseOverlap(made.tcp, text, claim);
    } catch (error) {
      made.close();
      throw error;
    }
    this.#entries.push(made);
  }

  #refuseOverlap(wanted: TcpName, text: string, claim: Claim): void {
    const dualStack = isDualStack();
    const other = this.#entries.find((entry) => entry.tcp && addressesOverlap(entry.tcp, wanted, dualStack));
    if (!other) return;
    throw new FaultError(
      'bind.overlaps',
      claim.all.has(other)
        ? `${text} overlaps ${other.address}: bind only one of them`
        : `${text} overlaps ${other.address}, which is bound already: the change needs a restart`,
    );
  }

  /** The generation is gone: closes what no other has, and removes its Unix sockets. */
  release(generation: number): void {
    for (const entry of [...this.#entries]) this.#drop(entry, generation);
  }

  #drop(entry: Entry, generation: number): void {
    entry.generations.delete(generation);
    if (entry.generations.size > 0 || entry.inherited) return;
    this.#entries = this.#entries.filter((other) => other !== entry);
    entry.close();
  }

  /** What generations have, and which; an inherited socket that none has any more is left out. */
  list(): (BoundListener & { generations: number[] })[] {
    return this.#entries
      .filter((entry) => entry.generations.size > 0)
      .map(({ address, type, fd, generations }) => ({ address, type, fd, generations: [...generations] }));
  }

  /** Closes all, at the end. */
  close(): void {
    for (const entry of this.#entries) entry.close();
    this.#entries = [];
  }
}

function claimEntry(entry: Entry, { generation, all, fresh }: Claim): void {
  if (!entry.generations.has(generation)) fresh.push(entry);
  entry.generations.add(generation);
  all.add(entry);
}

/** Whether an IPv6 wildcard takes IPv4 connections too: the system's default, and nearly every system's. */
function isDualStack(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv6/bindv6only', 'utf8').trim() !== '1';
  } catch {
    return true;
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  if (signal.reason instanceof FaultError) throw signal.reason;
  throw new FaultError('order.superseded', 'binding was given up');
}
