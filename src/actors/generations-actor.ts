/** Generations as an actor: prepares and releases them one after the other, as the machines order. Runs in the arbiter. */
import { fromCallback } from 'xstate';
import type { GenerationOrder, GenerationReport } from '../machines/events/generation.ts';
import { FaultError } from './fault-error.ts';
import type { Generations } from './generations.ts';

const superseded = (): FaultError => new FaultError('order.superseded', 'superseded by a newer order');

export function generationsActor(generations: Generations) {
  return fromCallback<GenerationOrder>(({ sendBack, receive }) => {
    const report = sendBack as (event: GenerationReport) => void;
    const under = new Map<number, AbortController>();
    // One at a time: what is bound for one generation is known when the next asks for it.
    let queue: Promise<unknown> = Promise.resolve();
    receive((order) => {
      if (order.type === 'generation.close') return generations.close();
      if (order.type === 'generation.release') {
        under.get(order.number)?.abort(superseded());
        return generations.release(order.number);
      }
      const { number, orderId } = order;
      // A newer one makes what is still being prepared pointless.
      for (const controller of under.values()) controller.abort(superseded());
      const controller = new AbortController();
      under.set(number, controller);
      queue = queue
        .then(() => generations.prepare(number, controller.signal))
        .then(
          (generation) => report({ type: 'generation.prepared', orderId, generation }),
          (error: unknown) => {
            const fault = generations.refusal(error);
            generations.release(number);
            report({ type: 'generation.refused', orderId, number, fault });
          },
        )
        .finally(() => under.delete(number));
    });
    return () => {
      for (const controller of under.values()) controller.abort(superseded());
    };
  });
}
