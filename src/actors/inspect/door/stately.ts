/**
 * What `@statelyai/inspect` says of actors, told from records: so that Stately's own inspector, and whatever else
 * reads its protocol, can show a whole server. Runs where the inspector is served.
 *
 * All processes have one root, the arbiter; the root of another one hangs below the child machine that supervises it. Whoever
 * comes is first told of everything that is, parents before their children.
 */
import type { WebSocket } from 'ws';
import type { Message, Plain, Told, ToldActor } from '../records.ts';
import { definitions } from './definitions.ts';
import { CLOSE, leave, socketWatcher } from './live.ts';
import type { Stage } from './stage.ts';

/** The version of the package whose protocol this is. */
const VERSION = '0.7.2';
const INIT = { type: 'xstate.init' };

/** Turns the inspector's messages into Stately's. */
export class StatelyTongue {
  readonly #tell: (event: object) => void;
  readonly #definitions = definitions();
  readonly #actors = new Map<string, ToldActor>();
  /** The living children of each actor, by their name. */
  readonly #children = new Map<string, Map<string, string>>();
  #state: ToldActor[] = [];
  #rootId = '';

  constructor(tell: (event: object) => void) {
    this.#tell = tell;
  }

  take(message: Message): void {
    switch (message.type) {
      case 'state': {
        if (message.part === 1) this.#state = [];
        for (const actor of message.actors) this.#state.push(actor);
        if (message.part === message.of) this.#whole(this.#state);
        return;
      }
      case 'records':
        for (const record of message.records) this.#record(record);
        return;
      default:
    }
  }

  /** What is known and is not told of has gone unseen. */
  #whole(actors: readonly ToldActor[]): void {
    const told = new Map(actors.map((actor) => [actor.id, actor]));
    for (const id of [...this.#actors.keys()]) if (!told.has(id)) this.#gone(id, 'stopped', Date.now());
    const done = new Set<string>();
    const visit = (actor: ToldActor): void => {
      if (done.has(actor.id)) return;
      done.add(actor.id);
      const parent = told.get(actor.parent ?? '');
      if (parent) visit(parent);
      this.#appear(actor);
    };
    for (const actor of actors) this.#hang(actor);
    for (const actor of actors) visit(actor);
    this.#state = [];
  }

  #record(record: Told): void {
    switch (record.t) {
      case 'actor':
        return this.#appear(record);
      case 'gone':
        return this.#gone(record.id, record.status, record.at);
      case 'event':
        return this.#send(record.to, '@xstate.event', record.at, {
          event: eventOf(record.event),
          ...(record.from === null ? {} : { sourceId: record.from }),
        });
      case 'step': {
        const actor = this.#actors.get(record.id);
        if (!actor) return;
        const { at, status, value, context = actor.context } = record;
        this.#actors.set(record.id, { ...actor, at, status, value, context });
        return this.#snapshot(record.id, at, eventOf(record.event));
      }
      case 'ended':
        for (const { id, pid } of [...this.#actors.values()])
          if (pid === record.pid) this.#gone(id, 'stopped', record.at);
        return;
      default:
    }
  }

  #hang(actor: ToldActor): void {
    this.#actors.set(actor.id, actor);
    if (actor.root && actor.parent === null && this.#rootId === '') this.#rootId = actor.id;
    if (actor.parent === null) return;
    const siblings = this.#children.get(actor.parent) ?? new Map<string, string>();
    this.#children.set(actor.parent, siblings.set(actor.name, actor.id));
  }

  #appear(actor: ToldActor): void {
    this.#hang(actor);
    const { id, at, name, machine, definition, parent } = actor;
    const own = machine === null ? undefined : this.#definitions.get(machine);
    this.#send(id, '@xstate.actor', at, {
      name,
      definition:
        (actor.user ? definition && JSON.stringify(definition) : own) ?? JSON.stringify({ id: name }),
      ...(parent === null ? {} : { parentId: parent }),
      snapshot: this.#snapshotOf(actor),
    });
    this.#snapshot(id, at, INIT);
  }

  #gone(id: string, status: string, at: number): void {
    const actor = this.#actors.get(id);
    if (!actor) return;
    this.#actors.set(id, { ...actor, status });
    this.#snapshot(id, at, { type: 'xstate.stop' });
    this.#actors.delete(id);
    this.#children.delete(id);
    const siblings = this.#children.get(actor.parent ?? '');
    if (siblings?.get(actor.name) === id) siblings.delete(actor.name);
  }

  #snapshot(id: string, at: number, event: object): void {
    const actor = this.#actors.get(id);
    if (actor) this.#send(id, '@xstate.snapshot', at, { event, snapshot: this.#snapshotOf(actor) });
  }

  #snapshotOf({ id, status, value, context }: ToldActor): object {
    const children = [...(this.#children.get(id) ?? [])];
    return {
      status,
      value: value ?? {},
      context: context ?? {},
      children: Object.fromEntries(children.map(([name, child]) => [name, { xstate$$type: 1, id: child }])),
      historyValue: {},
      tags: [],
    };
  }

  #send(sessionId: string, type: string, at: number, rest: object): void {
    const createdAt = String(Math.round(at));
    const rootId = this.#rootId || sessionId;
    this.#tell({ type, sessionId, rootId, createdAt, id: null, _version: VERSION, ...rest });
  }
}

/** One that was too large to be told is an event all the same. */
const eventOf = (event: Plain): object =>
  typeof event === 'object' && event !== null && 'type' in event ? event : { type: String(event) };

export function attendStately(socket: WebSocket, stage: Stage): void {
  const tongue = new StatelyTongue((event) => socket.send(JSON.stringify(event)));
  const watcher = socketWatcher(socket, (message) => tongue.take(JSON.parse(message) as Message));
  // It is only told; the package's own clients say nothing.
  socket.on('message', () => leave(socket, CLOSE.violated, 'nothing is asked here'));
  const stop = stage.watch(watcher, { controls: false, from: 'now' });
  socket.once('close', stop);
  if (socket.readyState !== socket.OPEN) stop();
}

/** Shows the hosted inspector, for those who have the internet. What goes there goes from this page, by the browser. */
export const STATELY_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Kirin in Stately’s inspector</title></head>
<body><script src="/stately.js"></script></body>
</html>
`;

/** Nothing is kept here: once the frame is there the stream is opened, and begins with everything that is. */
export const STATELY_SCRIPT = `const HOST = 'https://stately.ai';
const frame = document.createElement('iframe');
frame.title = 'Stately inspector';
frame.src = HOST + '/inspect';
document.body.style.margin = '0';
frame.style.cssText = 'border:0;width:100vw;height:100vh;display:block';
document.body.append(frame);
let socket;
let again;
function open() {
  clearTimeout(again);
  if (socket) { socket.onclose = null; socket.close(); }
  socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/stately');
  socket.onmessage = ({ data }) => frame.contentWindow.postMessage(JSON.parse(data), HOST);
  socket.onclose = () => { again = setTimeout(open, 2000); };
}
addEventListener('message', ({ origin, source, data }) => {
  if (origin === HOST && source === frame.contentWindow && data && data.type === '@statelyai.connected') open();
});
`;
