/**
 * The control interface of an arbiter as one piece: what its machines need provided, what it must be told, and its
 * end. Runs in the arbiter.
 */
import type { ArbiterActor } from '../../machines/arbiter.ts';
import type { ControlWish } from '../../machines/arbiter-context.ts';
import { controlListenerMachine } from '../../machines/control-listener.ts';
import { controlSessionMachine } from '../../machines/control-session.ts';
import type { ArbiterReport } from '../../machines/events/arbiter.ts';
import type { Settings } from '../../settings.ts';
import type { Inspector } from '../inspect/inspector.ts';
import type { Log } from '../log.ts';
import type { HandedSocket } from '../upgrade/heritage.ts';
import { Commands } from './commands.ts';
import type { ConnectionDeps } from './connection.ts';
import { type ControlSocketSpec, ControlSockets } from './control-sockets.ts';
import { OrderBook } from './order-book.ts';
import { Orders } from './orders.ts';
import { ownCall } from './own-call.ts';
import { Scene } from './scene.ts';
import { Show, type ShowDeps } from './show.ts';

export interface ControlDeps extends Omit<ShowDeps, 'scene'> {
  settings: Settings;
  log: Log;
  inspector: Inspector;
  /** The control sockets of the old arbiter of an upgrade. */
  heritage?: readonly HandedSocket[] | undefined;
}

export class Control {
  readonly #deps: ControlDeps;
  readonly #specs: ControlSocketSpec[];
  readonly #sockets: ControlSockets;
  #commands: Commands | undefined;
  #book: OrderBook | undefined;

  constructor(deps: ControlDeps) {
    const { settings, log } = deps;
    this.#deps = deps;
    this.#specs = specsOf(settings);
    const connections: Omit<ConnectionDeps, 'readonly'> = {
      limits: {
        requestBytesMax: settings.controlRequestBytesMax,
        replyBytesMax: settings.controlReplyBytesMax,
        queue: settings.controlQueue,
        idleMs: settings.controlIdleMs,
      },
      execute: (request, call) => {
        if (this.#commands) this.#commands.execute(request, call);
        else call.fail('The server is still starting');
      },
      bug: (error) => log.error('this is a bug in Kirin: a command failed', { stack: stackOf(error) }),
    };
    this.#sockets = new ControlSockets(this.#specs, connections, deps.heritage);
  }

  /** The sockets that the arbiter machine is to open. */
  get wishes(): ControlWish[] {
    const required = this.#deps.settings.controlSocketRequired;
    return this.#specs.map(({ name, sessionsMax }) => ({ name, sessionsMax, required }));
  }

  /** The listener machine with its actors. */
  get machine(): typeof controlListenerMachine {
    const session = controlSessionMachine.provide({
      actors: { connection: this.#sockets.connectionActor },
      delays: { commandLimit: this.#deps.settings.controlCommandMs },
    });
    return controlListenerMachine.provide({ actors: { socket: this.#sockets.socketActor, session } });
  }

  /**
   * From now on commands are answered from what this machine knows. Before it is started. What is returned carries out a
   * command that comes through no socket.
   */
  attach(arbiter: ArbiterActor): (words: readonly string[]) => Promise<object> {
    const scene = new Scene(arbiter);
    const { ledger, journal, inspector, rotation } = this.#deps;
    const book = new OrderBook(scene, journal);
    this.#book = book;
    const commands = new Commands({
      show: new Show({ ...this.#deps, scene }),
      orders: new Orders({ scene, ledger, book, rotation, dirty: this.#deps.dirty }),
      journal,
      inspector,
    });
    this.#commands = commands;
    const limitMs = this.#deps.settings.controlCommandMs;
    return (words) => ownCall(words, { commands, order: (order) => arbiter.send(order), limitMs });
  }

  /** To be called with everything that the arbiter machine reports of orders. */
  heard(report: ArbiterReport): void {
    this.#book?.heard(report);
  }

  /** Ends all connections, once what was said is written. */
  close(): Promise<void> {
    this.#book?.close();
    return this.#sockets.close();
  }

  /** For a new arbiter, which inherits the sockets. */
  handOver(): HandedSocket[] {
    return this.#sockets.handOver();
  }

  takeBack(): void {
    this.#sockets.takeBack();
  }

  /** The old arbiter is gone. */
  succeed(): void {
    this.#sockets.succeed();
  }

  /** Removes the sockets, in an emergency. */
  remove(): void {
    this.#sockets.remove();
  }
}

function specsOf(settings: Settings): ControlSocketSpec[] {
  const sessionsMax = settings.controlSessions;
  const specs: ControlSocketSpec[] = [];
  if (!settings.controlSocketDisable)
    specs.push({
      name: 'control',
      path: settings.controlSocket,
      mode: settings.controlSocketMode,
      flag: '--control-socket',
      readonly: false,
      sessionsMax,
    });
  if (settings.controlSocketReadonly !== undefined)
    specs.push({
      name: 'controlReadonly',
      path: settings.controlSocketReadonly,
      mode: settings.controlSocketReadonlyMode,
      flag: '--control-socket-readonly',
      readonly: true,
      sessionsMax,
    });
  return specs;
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? '') : String(error));
