/**
 * Every order and its reports: it ends in exactly one told result, may be told as taken once before, and what is told
 * carries the ticket of whoever asked.
 */
import type { InspectionEvent } from 'xstate';
import type { ArbiterContext } from '../../src/machines/arbiter.ts';
import { ORDERS_PENDING_MAX } from '../../src/machines/arbiter-context.ts';
import type { ArbiterOrder, OrderEnded, OrderFacts } from '../../src/machines/events/arbiter.ts';

/** Three reloads and an order to scale, and one that is being taken. */
const UNDER_WAY_MAX = 5;

/** What clients sent, by ticket, and what of it arrived. */
interface Post {
  readonly sent: ReadonlyMap<number, ArbiterOrder['type']>;
  readonly received: Set<number>;
}

export class Ledger {
  readonly #open = new Map<number, number | undefined>();
  readonly #ended = new Set<number>();
  readonly #taken = new Set<number>();
  readonly #post: Post;
  readonly #violate: (what: string) => void;

  constructor(post: Post, violate: (what: string) => void) {
    this.#post = post;
    this.#violate = violate;
  }

  /** Orders that have not ended. */
  get open(): ReadonlySet<number> {
    return new Set(this.#open.keys());
  }

  /** Notes each order that reaches the arbiter, whoever sent it. An order that ended at once ended before this. */
  watch(event: InspectionEvent): void {
    if (event.type !== '@xstate.microstep' || !event.event.type.startsWith('arbiter.')) return;
    const { ticket } = event.event as ArbiterOrder;
    if (ticket !== undefined) this.#post.received.add(ticket);
    const { lastOrderId } = (event.snapshot as unknown as { context: ArbiterContext }).context;
    if (!this.#ended.has(lastOrderId)) this.#open.set(lastOrderId, ticket);
  }

  take(order: OrderFacts): void {
    const { orderId } = order;
    if (this.#taken.has(orderId)) this.#violate(`order ${orderId} was taken twice`);
    if (this.#ended.has(orderId)) this.#violate(`order ${orderId} was taken after its end`);
    this.#taken.add(orderId);
    this.#checkTicket(order);
  }

  end(end: OrderEnded): void {
    const { orderId, ticket } = end;
    if (this.#ended.has(orderId)) this.#violate(`order ${orderId} ended twice`);
    if (this.#open.has(orderId) && this.#open.get(orderId) !== ticket)
      this.#violate(`order ${orderId} ended with ticket ${ticket} instead of ${this.#open.get(orderId)}`);
    this.#ended.add(orderId);
    this.#open.delete(orderId);
    this.#checkTicket(end);
  }

  #checkTicket({ orderId, order, ticket }: OrderFacts): void {
    if (ticket !== undefined && this.#post.sent.get(ticket) !== order)
      this.#violate(`order ${orderId}, ${order}, has ticket ${ticket}, which is another's`);
  }

  /** Orders that have not ended are bounded, whatever clients send. */
  check({ context, value }: { context: ArbiterContext; value: unknown }): void {
    const most = UNDER_WAY_MAX + (JSON.stringify(value).includes('stopping') ? ORDERS_PENDING_MAX : 0);
    const toDirty = context.pending.filter(({ order }) => order.startsWith('arbiter.dirty')).length;
    if (toDirty > ORDERS_PENDING_MAX) this.#violate(`${toDirty} orders to the dirty tree are under way`);
    if (context.pending.length - toDirty > most)
      this.#violate(`${context.pending.length} orders are under way`);
  }
}
