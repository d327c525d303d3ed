/**
 * The inspector of a running server: the hub is loaded when somebody watches for the first time, the page's server and the
 * recorder where the settings ask for them. Runs in the arbiter.
 */
import type { AnyActorRef } from 'xstate';
import { parseAddress } from '../address.ts';
import type { Journal } from '../control/journal.ts';
import { FaultError } from '../fault-error.ts';
import { resolveHost } from '../host-name.ts';
import type { Log } from '../log.ts';
import type { Redactor } from '../redaction.ts';
import { InspectedChildren } from './children.ts';
import type { Door } from './door/door.ts';
import type { Hub } from './hub.ts';
import type { Recorder } from './recorder.ts';

export interface InspectorSettings {
  inspector: string | undefined;
  inspectorToken: string | undefined;
  inspectorControl: boolean;
  inspectorRecord: string | undefined;
  inspectorRecordBytesMax: number;
}

export interface InspectorDeps {
  settings: InspectorSettings & { app: string };
  redactor: Redactor;
  journal: Journal;
  log: Log;
  version: string;
}

/** An address that is in use is tried again: an older server may be leaving it. */
const AGAIN_MS = 10_000;

export class Inspector {
  /** Every process that is started is made known here. */
  readonly children = new InspectedChildren();
  readonly #deps: InspectorDeps;
  #root: AnyActorRef | undefined;
  #command: ((words: readonly string[]) => Promise<object>) | undefined;
  #loading: Promise<Hub> | undefined;
  #hub: Hub | undefined;
  #door: Door | undefined;
  #recorder: Recorder | undefined;
  #again: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(deps: InspectorDeps) {
    this.#deps = deps;
    const { inspectorToken } = deps.settings;
    if (inspectorToken !== undefined)
      deps.redactor.learn(0, { ...process.env, INSPECTOR_TOKEN: inspectorToken }, { all: false });
  }

  /** The arbiter machine, before it is started; `command` carries out what a page asks for. */
  attach(root: AnyActorRef, command: (words: readonly string[]) => Promise<object>): void {
    this.#root = root;
    this.#command = command;
  }

  /** Opens what the settings ask for. Never rejects: serving goes on without it, and the log says why. */
  async open(): Promise<void> {
    const { inspector, inspectorRecord } = this.#deps.settings;
    if (inspectorRecord !== undefined) await this.#record(inspectorRecord);
    if (inspector !== undefined) await this.#openDoor(inspector);
  }

  /** Rejects while the server is not there yet. */
  hub(): Promise<Hub> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** Tells those who watch that the server ends. */
  async end(reason: string): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#again);
    // Whatever else ends a recording is worth a warning.
    this.#hub?.flush();
    const recorded = this.#recorder?.close();
    this.#hub?.end(reason);
    await Promise.all([this.#door?.close(), recorded]);
  }

  /** The process ends at once: what is known is written down. */
  crash(): void {
    this.#hub?.flush();
    this.#recorder?.crash();
  }

  async #openDoor(where: string): Promise<void> {
    const { settings, log } = this.#deps;
    const address = parseAddress(where);
    if (address.kind !== 'tcp') return;
    try {
      const { host } = await resolveHost(address);
      const { openDoor } = await import('./door/door.ts');
      const door = await openDoor({
        host,
        port: address.port,
        token: settings.inspectorToken,
        controls: settings.inspectorControl,
        stage: () => this.hub(),
      });
      if (this.#isOver) return await door.close();
      this.#door = door;
      const more = settings.inspectorToken === undefined ? '' : ' (with ?token=…)';
      log.info(`inspector at ${door.url}${more}`);
    } catch (error) {
      this.#onShut(where, error as NodeJS.ErrnoException);
    }
  }

  #onShut(where: string, error: NodeJS.ErrnoException): void {
    const { log } = this.#deps;
    const isInUse = error.code === 'EADDRINUSE';
    const why = isInUse ? 'the address is in use' : error.message;
    const hope = isInUse ? `; tried again every ${AGAIN_MS / 1000} s` : '';
    if (!this.#again) log.warn(`no inspector at ${where}: ${why}${hope}`);
    if (isInUse && !this.#isOver)
      this.#again = setTimeout(() => void this.#openDoor(where), AGAIN_MS).unref();
  }

  async #record(file: string): Promise<void> {
    const { settings, log } = this.#deps;
    try {
      const { Recorder: Made } = await import('./recorder.ts');
      this.#recorder = new Made({
        file,
        bytesMax: settings.inspectorRecordBytesMax,
        stage: await this.hub(),
        warn: (text) => log.warn(text),
      });
      const { kept } = this.#recorder;
      if (kept !== undefined)
        log.warn(`the server before ended without a word: its recording is kept as ${kept}`);
      log.info(`recording what happens in ${file}`);
    } catch (error) {
      const why = error instanceof FaultError ? error.message : (error as Error).message;
      log.warn(`nothing is recorded in ${file}: ${why}`);
    }
  }

  async #load(): Promise<Hub> {
    const { Hub: Made } = await import('./hub.ts');
    const { journal, redactor, version, settings, log } = this.#deps;
    const [root, command] = [this.#root, this.#command];
    if (!root || !command) {
      this.#loading = undefined;
      throw new Error('the server is still starting');
    }
    this.#hub = new Made({
      root,
      children: this.children,
      redactor,
      version,
      app: settings.app,
      notice: (text) => log.error(text),
      command,
      watchLog: (line) => journal.watch(({ level, text }) => line(level, text)),
    });
    return this.#hub;
  }
}
