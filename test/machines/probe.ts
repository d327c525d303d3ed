/** An actor that only listens: the parent of a machine under test. */
import { type ActorRef, createActor, type EventObject, fromCallback, type Snapshot } from 'xstate';

export function probe<TEvent extends EventObject>(): {
  ref: ActorRef<Snapshot<unknown>, TEvent>;
  heard: TEvent[];
} {
  const heard: TEvent[] = [];
  const actor = createActor(
    fromCallback<TEvent>(({ receive }) => {
      receive((event) => {
        heard.push(event);
      });
    }),
  );
  actor.start();
  return { ref: actor as unknown as ActorRef<Snapshot<unknown>, TEvent>, heard };
}
