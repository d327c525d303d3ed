/**
 * The inspector of a running server: the hub is loaded when somebody watches for the first time. Runs in the arbiter.
 */
import type { AnyActorRef } from 'xstate';
import type { Journal } from '../control/journal.ts';
import type { Redactor } from '../redaction.ts';
import { InspectedChildren } from './children.ts';
import type { Hub } from './hub.ts';

export interface InspectorDeps {
  redactor: Redactor;
  journal: Journal;
  version: string;
  app: string;
  notice(text: string): void;
}

export class Inspector {
  /** Every process that is started is made known here. */
  readonly children = new InspectedChildren();
  readonly #deps: InspectorDeps;
  #root: AnyActorRef | undefined;
  #loading: Promise<Hub> | undefined;
  #hub: Hub | undefined;

  constructor(deps: InspectorDeps) {
    this.#deps = deps;
  }

  /** The arbiter machine, before it is started. */
  attach(root: AnyActorRef): void {
    this.#root = root;
  }

  /** Rejects while the server is not there yet. */
  hub(): Promise<Hub> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** Tells those who watch that the server ends. */
  end(reason: string): void {
    this.#hub?.end(reason);
  }

  async #load(): Promise<Hub> {
    const { Hub: Made } = await import('./hub.ts');
    const { journal, redactor, version, app, notice } = this.#deps;
    const root = this.#root;
    if (!root) throw new Error('the server is still starting');
    this.#hub = new Made({
      root,
      children: this.children,
      redactor,
      version,
      app,
      notice,
      watchLog: (line) => journal.watch(({ level, text }) => line(level, text)),
    });
    return this.#hub;
  }
}
