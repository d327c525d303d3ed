/** How a machine names an actor that touches the world: its events and input, with the body provided elsewhere. */
import {
  type ActorRef,
  type EventObject,
  fromCallback,
  type NonReducibleUnknown,
  type Snapshot,
} from 'xstate';

/** A callback actor to be given by `provide()`; a machine started without it is a bug and says so. */
export const port = <TEvent extends EventObject, TInput = NonReducibleUnknown>(name: string) =>
  fromCallback<TEvent, TInput>(() => {
    throw new Error(`the actor '${name}' was not provided`);
  });

/** The receiving end of a machine's reports: its parent, or a probe in a test. */
export type Listener<TEvent extends EventObject> = ActorRef<Snapshot<unknown>, TEvent>;
