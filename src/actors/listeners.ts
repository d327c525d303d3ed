/**
 * The sockets clients connect to. Runs in the arbiter, which binds each once and never listens or accepts on
 * it: the workers inherit the descriptors. A listener belongs to the generations that want it, and ends with the
 * last of them.
 *
 * `bind` is all or nothing, one call at a time; what it takes belongs to the generation at once, so that a
 * generation that ends meanwhile does not close it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EarlyStart } from '../stages/early.ts';
import { type Address, addressesOverlap, formatAddress, parseAddress, type TcpName } from './address.ts';
import { bindFault } from './bind-fault.ts';
import { FaultError } from './fault-error.ts';
import type { Lookup } from './host-name.ts';
import {
  accessOf,
  type BoundListener,
  type Entry,
  handedOf,
  inheritEntry,
  nameOf,
  openEntry,
  type Place,
  placesOf,
} from './listener-entry.ts';
import type { InheritedUnixSocket, Owner } from './unix-socket.ts';
import type { HandedListener } from './upgrade/heritage.ts';

export type { BoundListener };

export interface BindOptions {
  signal?: AbortSignal;
  /** IPv6 addresses take no IPv4 connections. */
  ipv6Only?: boolean;
  /** Other servers of this user may have the same TCP addresses. */
  reusePort?: boolean;
  /** Whose Unix sockets are to be; undefined: the arbiter's own. */
  owner?: Owner | undefined;
  onRetry?(text: string): void;
}

/** A port of the system's choice may be taken already on another address of the same name. */
const SAME_PORT_TRIES_MAX = 10;

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
  /** Default: the system's. */
  lookup?: Lookup;
  /** Sockets that were bound before there was a table. Default: none. */
  early?: Pick<EarlyStart, 'take'> | undefined;
}

export class ListenerTable {
  readonly #retries: number;
  readonly #retryMs: number;
  readonly #wait: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  readonly #lookup: Lookup | undefined;
  readonly #early: Pick<EarlyStart, 'take'> | undefined;
  #entries: Entry[] = [];
  /** Unix sockets that a new arbiter inherits from us, and those that we inherited. */
  #handed: Entry[] = [];
  #inherited: InheritedUnixSocket[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ retries = 5, retryMs = 1000, wait, lookup, early }: TableOptions = {}) {
    this.#early = early;
    this.#lookup = lookup;
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
      this.#dropUnclaimed();
    } catch (error) {
      for (const entry of claim.fresh) this.#drop(entry, generation);
      throw error;
    }
    return [...claim.all].map(({ address, type, fd }) => ({ address, type, fd }));
  }

  /** Claims what one address stands for: of a name all its addresses, on one port. */
  async #take(address: Address, claim: Claim, options: BindOptions): Promise<void> {
    const text = formatAddress(address);
    const places = await placesOf(address, { ipv6Only: options.ipv6Only, lookup: this.#lookup });
    const [first] = places;
    if (places.length === 1 && first) {
      await this.#takePlace(address, first, text, claim, { ...options, retries: this.#retries });
      return;
    }
    for (let tries = 1; ; tries++) {
      const taken = new Set(claim.all);
      try {
        return await this.#takeAll(address, places, text, claim, options);
      } catch (error) {
        const isTaken = error instanceof FaultError && error.fault.code === 'bind.inUse';
        if (!isTaken || address.kind !== 'tcp' || address.port !== 0 || tries >= SAME_PORT_TRIES_MAX)
          throw error;
        this.#giveBack(claim, taken);
      }
    }
  }

  /** Those that this machine has not (IPv6 that is switched off, another's address) are left out, unless all are. */
  async #takeAll(
    address: Address,
    places: readonly Place[],
    text: string,
    claim: Claim,
    options: BindOptions,
  ): Promise<void> {
    let missing: FaultError | undefined;
    let port: number | undefined;
    for (const place of places) {
      if (place.kind !== 'tcp') continue;
      const { host } = place.tcp;
      const here = port === undefined ? place : { kind: 'tcp' as const, tcp: { ...place.tcp, port } };
      // A port that the system chose is not waited for: there are others.
      const retries = here === place ? this.#retries : 0;
      const name = nameOf(place);
      try {
        const entry = await this.#takePlace(address, here, `${text} (${host})`, claim, {
          ...options,
          retries,
          name,
        });
        if (place.tcp.port === 0) port ??= entry.tcp?.port;
      } catch (error) {
        if (!(error instanceof FaultError) || error.fault.code !== 'bind.badAddress') throw error;
        missing ??= error;
        options.onRetry?.(`${error.message}: it is left out`);
      }
    }
    if (missing && !this.#hasAny(places, claim)) throw missing;
  }

  #hasAny(places: readonly Place[], claim: Claim): boolean {
    return places.some((place) => [...claim.all].some((entry) => entry.names.has(nameOf(place))));
  }

  /** As it was before an attempt. */
  #giveBack(claim: Claim, before: ReadonlySet<Entry>): void {
    for (const entry of claim.all) {
      if (before.has(entry)) continue;
      claim.all.delete(entry);
      if (!claim.fresh.includes(entry)) continue;
      claim.fresh = claim.fresh.filter((other) => other !== entry);
      this.#drop(entry, claim.generation);
    }
  }

  /** Claims the entry of one place: the one that is there, or a new one. */
  async #takePlace(
    address: Address,
    place: Place,
    text: string,
    claim: Claim,
    options: BindOptions & { retries: number; name?: string },
  ): Promise<Entry> {
    const name = options.name ?? nameOf(place);
    for (let tries = 0; ; tries++) {
      throwIfAborted(options.signal);
      const known = this.#entries.find((entry) => entry.names.has(name));
      if (known) {
        refuseOtherAccess(known, place, text, claim);
        return claimEntry(known, claim);
      }
      try {
        if (place.kind === 'tcp') this.#refuseOverlap(place.tcp, text, claim);
        const made = await openEntry(address, place, { ...options, early: this.#early });
        made.names.add(name);
        this.#admit(made, text, claim);
        return claimEntry(made, claim);
      } catch (error) {
        const isToldNow = tries === 0 || tries >= options.retries;
        const fault = bindFault(text, error, isToldNow && place.kind === 'tcp' ? place.tcp : null);
        if (fault.fault.code !== 'bind.inUse' || tries >= options.retries) throw fault;
        const every = `${this.#retryMs / 1000} s`;
        // Who has it is told at first and at last: to find out takes a while.
        const inUse = tries === 0 ? fault.message.replace(/: choose another .*$/, '') : `${text} is in use`;
        options.onRetry?.(`${inUse}, trying again in ${every} (${tries + 1}/${options.retries})`);
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
    const other = this.#entries.find((entry) => entry.tcp && addressesOverlap(entry.tcp, wanted));
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

  /** The old arbiter's, which are found by their names from now on; those that nobody asks for are closed at the first `bind`. */
  inherit(handed: readonly HandedListener[]): void {
    for (const one of handed) {
      const entry = inheritEntry(one);
      this.#entries.push(entry);
      if (entry.socket) this.#inherited.push(entry.socket);
    }
  }

  /** The old arbiter is gone: what it had is ours. */
  succeed(): void {
    for (const socket of this.#inherited.splice(0)) socket.succeed();
  }

  /** For a new arbiter; from now on names of Unix sockets are left to it, until `takeBack`. */
  handOver(): HandedListener[] {
    this.#handed = [...this.#entries];
    for (const { socket } of this.#handed) socket?.keepName(true);
    return this.#handed.map(handedOf);
  }

  takeBack(): void {
    for (const { socket } of this.#handed.splice(0)) socket?.keepName(false);
  }

  #dropUnclaimed(): void {
    for (const entry of [...this.#entries])
      if (entry.generations.size === 0 && !entry.inherited) this.#drop(entry, 0);
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

function claimEntry(entry: Entry, { generation, all, fresh }: Claim): Entry {
  if (!entry.generations.has(generation)) fresh.push(entry);
  entry.generations.add(generation);
  all.add(entry);
  return entry;
}

/** A Unix socket's permissions are those of its first moment. */
function refuseOtherAccess(known: Entry, place: Place, text: string, claim: Claim): void {
  if (known.access === accessOf(place) || known.inherited) return;
  throw new FaultError(
    'bind.overlaps',
    claim.all.has(known)
      ? `${text} is given twice, with different permissions: keep one of them`
      : `${text} is bound already, with other permissions: the change needs a restart`,
  );
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  if (signal.reason instanceof FaultError) throw signal.reason;
  throw new FaultError('order.superseded', 'binding was given up');
}
