/**
 * The control sockets of a simulation: sockets that cannot be bound, fail, lose their names or throw, and clients
 * that send orders, wait or do not, finish, violate, leave, do not read, and say things too late. Its chance is its own,
 * so that a run without sockets is the same run.
 */
import { fromCallback } from 'xstate';
import type { ControlWish } from '../../src/machines/arbiter-context.ts';
import { controlListenerMachine } from '../../src/machines/control-listener.ts';
import { controlSessionMachine } from '../../src/machines/control-session.ts';
import type { ArbiterOrder, OrderEnded } from '../../src/machines/events/arbiter.ts';
import type {
  ConnectionOrder,
  ConnectionReport,
  ControlSocketName,
  ControlSocketOrder,
  ControlSocketReport,
} from '../../src/machines/events/control.ts';
import type { VirtualClock } from './clock.ts';
import { Random } from './random.ts';

const SESSIONS_MAX = 2;
/** A client does so much, and then leaves. */
const ACTS_MAX = 8;

interface Socket {
  readonly name: ControlSocketName;
  open: boolean;
  /** It has thrown: its cleanup will not run, and it may still speak. */
  broken: boolean;
  report(event: ControlSocketReport): void;
}

/** What a client sees: whether it was refused, or its session began. */
interface Client {
  readonly connection: number;
  state: 'knocking' | 'taken' | 'refused' | 'gone';
  /** Told to close: what it orders from now on goes nowhere. */
  closing: boolean;
  finished: boolean;
  /** Tickets that it waits for. */
  readonly waiting: Set<number>;
  acts: number;
  report(event: ConnectionReport): void;
}

export class ControlWorld {
  readonly wishes: ControlWish[];
  /** Orders by ticket that a client sent and its session was to pass on. */
  readonly sent = new Map<number, ArbiterOrder['type']>();
  /** Tickets of the orders that reached the arbiter. */
  readonly received = new Set<number>();
  /** While true sockets fail and clients misbehave. */
  faults = true;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #violate: (what: string) => void;
  readonly #sockets = new Set<Socket>();
  readonly #clients = new Map<number, Client>();
  readonly #commandLimitMs: number;
  #lastConnection = 0;
  #lastTicket = 0;
  /** The ages that an order to retire may name. */
  agesOf = (): number[] => [];
  /** Whether somebody takes orders at all. */
  running = (): boolean => false;

  constructor(clock: VirtualClock, seed: number, violate: (what: string) => void) {
    this.#clock = clock;
    const random = new Random(seed ^ 0x5bd1e995);
    this.#random = random;
    this.#violate = violate;
    this.#commandLimitMs = random.pick([500, 5_000, 60_000]);
    const wish = (name: ControlSocketName): ControlWish => ({
      name,
      required: random.chance(0.1),
      sessionsMax: SESSIONS_MAX,
    });
    const names = random.pick<ControlSocketName[]>([
      [],
      ['control'],
      ['control'],
      ['control', 'controlReadonly'],
    ]);
    this.wishes = names.map(wish);
  }

  /** The listener machine, with the sockets and connections of this world. */
  listenerMachine = () =>
    controlListenerMachine.provide({
      actors: {
        socket: this.#socketActor(),
        session: controlSessionMachine.provide({
          delays: { commandLimit: this.#commandLimitMs },
          actors: { connection: this.#connectionActor() },
        }),
      },
    });

  #later(delayMs: number, happen: () => void): void {
    this.#clock.setTimeout(happen, delayMs);
  }

  #strikes(share: number): boolean {
    return this.faults && this.#random.chance(share);
  }

  #socketActor = () =>
    fromCallback<ControlSocketOrder, { name: ControlSocketName }>(({ sendBack, receive, input }) => {
      if (this.#strikes(0.02)) throw new Error('simulated: a socket throws at its start');
      let alive = true;
      const socket: Socket = {
        name: input.name,
        open: false,
        broken: false,
        report: (event) => {
          if (alive) (sendBack as (event: ControlSocketReport) => void)(event);
        },
      };
      const { report } = socket;
      const failed = (permanent: boolean) => () => {
        socket.open = false;
        report({ type: 'socket.failed', fault: { code: 'bind.inUse', message: 'simulated' }, permanent });
      };
      const openMs = this.#random.between(0, 300);
      if (this.#strikes(0.2)) this.#later(openMs, failed(this.#random.chance(0.15)));
      else {
        // The kernel takes connections before anybody hears that it does.
        socket.open = true;
        this.#later(openMs, () => report({ type: 'socket.opened', path: '/simulated' }));
        if (this.#strikes(0.3)) {
          const lose = this.#random.chance(0.8) ? () => report({ type: 'socket.lost' }) : failed(false);
          this.#later(this.#random.between(openMs, 60_000), lose);
        }
      }
      this.#sockets.add(socket);
      const end = (): void => {
        alive = false;
        socket.open = false;
        this.#sockets.delete(socket);
      };
      receive(({ connection }) => {
        if (this.#strikes(0.1)) {
          socket.broken = true;
          throw new Error('simulated: a socket throws at an order');
        }
        this.#clients.get(connection)!.state = 'refused';
      });
      return () => {
        end();
        if (this.#strikes(0.03)) throw new Error('simulated: a socket throws in its cleanup');
      };
    });

  #connectionActor = () =>
    fromCallback<ConnectionOrder, { connection: number }>(({ sendBack, receive, input }) => {
      const client = this.#clients.get(input.connection)!;
      if (client.state !== 'knocking') this.#violate(`connection ${client.connection} got two sessions`);
      client.state = 'taken';
      client.report = (event) => {
        if (client.state === 'taken') (sendBack as (event: ConnectionReport) => void)(event);
      };
      if (this.#strikes(0.02)) {
        client.state = 'gone';
        throw new Error('simulated: a connection throws at its start');
      }
      receive((order) => {
        if (this.#strikes(0.02)) {
          client.state = 'gone';
          throw new Error('simulated: a connection throws at an order');
        }
        this.#obey(client, order);
      });
      this.#later(this.#random.between(0, 500), () => this.#act(client));
      return () => {
        client.state = 'gone';
        if (this.#strikes(0.02)) throw new Error('simulated: a connection throws in its cleanup');
      };
    });

  #obey(client: Client, order: ConnectionOrder): void {
    const leave = (): void => client.report({ type: 'connection.closed' });
    switch (order.type) {
      case 'request.expire':
        if (!client.waiting.has(order.ticket)) this.#violate(`ticket ${order.ticket} expired twice, or late`);
        return this.#end(client, order.ticket);
      case 'connection.close':
        if (client.closing) this.#violate(`connection ${client.connection} was closed twice`);
        client.closing = true;
        for (const ticket of [...client.waiting]) this.#end(client, ticket);
        if (!this.#strikes(0.2)) this.#later(this.#random.between(0, 1200), leave);
        return;
      case 'connection.destroy':
        if (!this.#strikes(0.2)) this.#later(this.#random.between(0, 100), leave);
        return;
    }
  }

  #end(client: Client, ticket: number): void {
    if (client.waiting.delete(ticket)) client.report({ type: 'request.ended', ticket });
  }

  /** Somebody connects to a socket that is open. */
  connect(): void {
    const socket = this.#random.pick([...this.#sockets].filter(({ open }) => open));
    if (!socket) return;
    const connection = ++this.#lastConnection;
    const client: Client = {
      connection,
      state: 'knocking',
      closing: false,
      finished: false,
      waiting: new Set(),
      acts: 0,
      report: () => {},
    };
    this.#clients.set(connection, client);
    socket.report({ type: 'connection.accepted', connection });
    if (client.state !== 'knocking') return;
    client.state = 'gone';
    if (!socket.broken) this.#violate(`connection ${connection} was neither taken nor refused`);
  }

  /** One thing that a client does; then the next, until it has done enough. */
  #act(client: Client): void {
    if (client.state !== 'taken') return;
    const random = this.#random;
    const dice = random.next();
    if (!this.faults || ++client.acts > ACTS_MAX) return this.#leave(client);
    if (dice < 0.5) this.#order(client, this.#anOrder());
    else if (dice < 0.65) this.#begin(client, ++this.#lastTicket, false);
    else if (dice < 0.75) this.#end(client, random.pick([...client.waiting]) ?? 0);
    else if (dice < 0.8) client.report({ type: 'connection.violated' });
    else if (dice < 0.85) client.report({ type: 'connection.idled' });
    else if (dice < 0.9) client.report({ type: 'connection.closed' });
    else if (dice < 0.95) this.#finish(client);
    else client.report({ type: 'request.ended', ticket: random.between(0, this.#lastTicket) });
    this.#later(random.pick([1, 100, 1000, 5000]), () => this.#act(client));
  }

  #leave(client: Client): void {
    this.#finish(client);
    // Who waits for what happens waits for ever; who waits for an order is told.
    for (const ticket of [...client.waiting]) if (!this.sent.has(ticket)) this.#end(client, ticket);
  }

  #finish(client: Client): void {
    if (client.finished) return;
    client.finished = true;
    client.report({ type: 'connection.finished' });
  }

  #begin(client: Client, ticket: number, limited: boolean): void {
    client.waiting.add(ticket);
    client.report({ type: 'request.began', ticket, limited });
  }

  /** An order, waited for or not; begun before it is passed on, or after. */
  #order(client: Client, order: ArbiterOrder): void {
    const ticket = ++this.#lastTicket;
    const { closing } = client;
    if (!closing) this.sent.set(ticket, order.type);
    const waits = this.#random.chance(0.6);
    if (waits) this.#begin(client, ticket, true);
    client.report({ type: 'request.ordered', ticket, order: { ...order, ticket } });
    if (!closing && client.state === 'taken' && this.running() && !this.received.has(ticket))
      this.#violate(`the order ${order.type} with ticket ${ticket} never reached the arbiter`);
  }

  #anOrder(): ArbiterOrder {
    const random = this.#random;
    const source = 'control';
    const dice = random.next();
    if (dice < 0.4) return { type: 'arbiter.scale', by: random.pick([1, 1, 2, 1024, -1, -1, -1024]), source };
    if (dice < 0.6) return { type: 'arbiter.reload', source };
    if (dice < 0.7) return { type: 'arbiter.reopen', source };
    if (dice < 0.97)
      return {
        type: 'arbiter.retire',
        age: random.pick(this.agesOf()) ?? 100_000,
        leave: random.pick(['drain', 'quit', 'kill']),
        source,
      };
    return { type: 'arbiter.stop', mode: random.pick(['graceful', 'quick']), source };
  }

  /** One client sends the same order many times, as fast as it can. */
  flood(): void {
    const client = [...this.#clients.values()].find(({ state }) => state === 'taken');
    if (!client) return;
    const order = this.#anOrder();
    for (let n = 0; n < 300 && client.state === 'taken'; n++) this.#order(client, order);
  }

  /** How an order ended that carries a ticket: whoever waits for it is told. */
  ended({ ticket, order }: OrderEnded): void {
    if (ticket === undefined) return;
    if (this.sent.get(ticket) !== order) this.#violate(`ticket ${ticket} came back with ${order}`);
    for (const client of this.#clients.values()) this.#end(client, ticket);
  }

  /** No faults any more; who is connected finishes. */
  pacify(): void {
    this.faults = false;
    for (const socket of this.#sockets) if (socket.broken) this.#sockets.delete(socket);
    for (const client of this.#clients.values()) if (client.state === 'taken') this.#leave(client);
  }
}
