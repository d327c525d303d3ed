/**
 * The inspector of a running server: its thread is started when somebody watches, and ends with the last one, unless the
 * settings ask for the page or a recording. Runs in the arbiter's main thread.
 */
import type { AnyActorRef } from 'xstate';
import { parseAddress } from '../address.ts';
import type { Journal } from '../control/journal.ts';
import { resolveHost } from '../host-name.ts';
import type { Log } from '../log.ts';
import type { Redactor } from '../redaction.ts';
import { InspectedChildren } from './children.ts';
import type { Source } from './source.ts';
import type { Annex } from './thread/annex.ts';

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
  #source: Promise<Source> | undefined;
  #starting: Promise<Annex> | undefined;
  #annex: Annex | undefined;
  /** Whether the thread of now is there for the page, and to record. */
  #hasDoor = false;
  #isRecording = false;
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

  /** Where one can watch. Rejects while the server is not there yet, and where Node.js may start no thread. */
  annex(): Promise<Annex> {
    if (this.#isOver) return Promise.reject(new Error('the server is stopping'));
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Tells those who watch that the server ends. */
  async end(reason: string): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#again);
    await this.#annex?.close(reason);
  }

  /** The process ends at once: what is known is written down. */
  crash(): void {
    this.#annex?.crash();
  }

  async #openDoor(where: string): Promise<void> {
    const { settings, log } = this.#deps;
    const address = parseAddress(where);
    if (address.kind !== 'tcp') return;
    try {
      const { host } = await resolveHost(address);
      const { port } = address;
      const { inspectorToken: token, inspectorControl: controls } = settings;
      const annex = await this.annex();
      this.#hasDoor = true;
      const { url } = await annex.ask('open', { host, port, token, controls });
      const more = settings.inspectorToken === undefined ? '' : ' (with ?token=…)';
      log.info(`inspector at ${url}${more}`);
    } catch (error) {
      this.#hasDoor = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      this.#onShut(where, error as NodeJS.ErrnoException);
      this.#endIfIdle();
    }
  }

  #onShut(where: string, error: NodeJS.ErrnoException): void {
    if (this.#isOver) return;
    const { log } = this.#deps;
    const isInUse = error.code === 'EADDRINUSE';
    const why = isInUse ? 'the address is in use' : error.message;
    const hope = isInUse ? `; tried again every ${AGAIN_MS / 1000} s` : '';
    if (!this.#again) log.warn(`no inspector at ${where}: ${why}${hope}`);
    if (isInUse) this.#openSoon(where);
  }

  #openSoon(where: string): void {
    this.#again = setTimeout(() => void this.#openDoor(where), AGAIN_MS).unref();
  }

  async #record(file: string): Promise<void> {
    const { settings, log } = this.#deps;
    try {
      const annex = await this.annex();
      this.#isRecording = true;
      const { kept } = await annex.ask('record', { file, bytesMax: settings.inspectorRecordBytesMax });
      if (kept !== undefined)
        log.warn(`the server before ended without a word: its recording is kept as ${kept}`);
      log.info(`recording what happens in ${file}`);
    } catch (error) {
      this.#isRecording = false;
      if (this.#isOver) return;
      log.warn(`nothing is recorded in ${file}: ${(error as Error).message}`);
      this.#endIfIdle();
    }
  }

  async #start(): Promise<Annex> {
    try {
      this.#source ??= this.#loadSource();
      const [source, { Annex: Made }] = await Promise.all([this.#source, import('./thread/annex.ts')]);
      if (this.#isOver) throw new Error('the server is stopping');
      const { redactor, version, settings, log } = this.#deps;
      const annex = new Made({
        source,
        children: this.children,
        redactor,
        version,
        app: settings.app,
        command: this.#command!,
        bug: (text) => log.error(text),
        warn: (text) => log.warn(text),
        idle: () => this.#endIfIdle(),
        failed: (why) => this.#onFailed(why),
      });
      this.#annex = annex;
      return annex;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  async #loadSource(): Promise<Source> {
    const root = this.#root;
    if (!root || !this.#command) {
      this.#source = undefined;
      throw new Error('the server is still starting');
    }
    const { ArbiterSource } = await import('./source.ts');
    const { journal } = this.#deps;
    return new ArbiterSource({
      root,
      children: this.children,
      watchLog: (line) => journal.watch(({ level, text }) => line(level, text)),
    });
  }

  /** Nobody watches, and nothing waits for those who will. */
  #endIfIdle(): void {
    // One that is being started is wanted by somebody.
    if (!this.#annex || this.#hasDoor || this.#isRecording || this.#annex.hasFarWatchers) return;
    this.#annex.end();
    this.#annex = undefined;
    this.#starting = undefined;
  }

  /** The thread is gone by itself; the server goes on. */
  #onFailed(why: string): void {
    const { settings, log } = this.#deps;
    const [hadDoor, wasRecording] = [this.#hasDoor, this.#isRecording];
    this.#hasDoor = false;
    this.#isRecording = false;
    this.#annex = undefined;
    this.#starting = undefined;
    const hope = hadDoor ? `; its page is served again in ${AGAIN_MS / 1000} s` : '';
    log.error(`the inspector has failed${hope}: ${why}`);
    if (wasRecording)
      log.warn(`recording in ${settings.inspectorRecord} has ended: the inspector has failed`);
    if (hadDoor && settings.inspector !== undefined) this.#openSoon(settings.inspector);
  }
}
