/** What must hold of control listeners and their sessions, whatever sockets and clients do. */
import type { AnyActorRef } from 'xstate';
import type { ControlListenerContext } from '../../src/machines/control-listener.ts';

type Children = Readonly<Record<string, AnyActorRef | undefined>>;
interface ListenerSnapshot {
  status: string;
  value: unknown;
  context: ControlListenerContext;
  children: Children;
}

const listenersOf = (children: Children): ListenerSnapshot[] =>
  [children['control'], children['controlReadonly']]
    .map((one) => one?.getSnapshot() as ListenerSnapshot | undefined)
    .filter((one) => one !== undefined);

/** No bug of a socket or of a connection reaches the machines, and each session is counted. */
export function checkControl(children: Children, violate: (what: string) => void): void {
  for (const { status, context, children: own } of listenersOf(children)) {
    if (status !== 'active') violate(`the listener ${context.name} is ${status}`);
    const sessions = Object.entries(own).filter(([id]) => id.startsWith('session.'));
    if (sessions.length !== context.sessions || sessions.length > context.sessionsMax)
      violate(`${context.sessions} sessions are counted, there are ${sessions.length}`);
    for (const [id, session] of sessions)
      if (session?.getSnapshot().status !== 'active') violate(`${id} is ${session?.getSnapshot().status}`);
  }
}

/** Once the faults have stopped sockets are open, but for those given up, and clients are gone. */
export function checkQuiet(children: Children, violate: (what: string) => void): void {
  for (const { context, value } of listenersOf(children)) {
    if (context.sessions > 0) violate(`${context.sessions} sessions never ended`);
    if (value !== 'closed' && JSON.stringify(value) !== '{"open":"listening"}')
      violate(`the listener ${context.name} is not open: ${JSON.stringify(value)}`);
  }
}
