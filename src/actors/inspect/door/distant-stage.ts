/**
 * A server that runs elsewhere as what is watched: its messages come over the control socket, are put together once, and told to
 * everybody who watches here. Runs in `kirinc inspect`. Nothing is asked of the server while nobody watches.
 */
import type { Hello, Message, State } from '../records.ts';
import { Reel } from '../reel.ts';
import { WATCHERS_MAX, type Watcher, Watchers } from '../watchers.ts';
import type { Stage, WatchOptions } from './stage.ts';

/** The server, as far as it is needed here. */
export interface DistantServer {
  /** Begins to inspect it: `take` gets its messages, `ended` is called once, unless it was stopped before by what is returned. */
  inspect(take: (message: Message) => void, ended: (why: string) => void): () => void;
  /** Carries out a command; rejects with an error whose message is for the one who sent it. */
  command(words: readonly string[]): Promise<object>;
}

interface Waiting {
  readonly watcher: Watcher;
  readonly options: WatchOptions;
  /** Called when it is watched for no longer, wherever it stands by then. */
  remove: () => void;
}

export class DistantStage implements Stage {
  readonly #server: DistantServer;
  #reel = new Reel();
  #watchers = new Watchers(this.#reel);
  /** Those who came before the server has told what is. */
  readonly #waiting = new Set<Waiting>();
  #hello: Hello | undefined;
  /** Parts of a state of which not all have come. */
  #parts: State | undefined;
  #isKnown = false;
  #stop: (() => void) | undefined;

  constructor(server: DistantServer) {
    this.#server = server;
  }

  get isFull(): boolean {
    return this.#watchers.count + this.#waiting.size >= WATCHERS_MAX;
  }

  watch(watcher: Watcher, options: WatchOptions): () => void {
    const one: Waiting = { watcher, options, remove: () => this.#waiting.delete(one) };
    if (this.#isKnown) this.#admit(one);
    else this.#waiting.add(one);
    this.#stop ??= this.#server.inspect(
      (message) => this.#take(message),
      (why) => this.#ended(why),
    );
    return () => {
      one.remove();
      if (this.#watchers.count + this.#waiting.size > 0) return;
      this.#stop?.();
      this.#forget();
    };
  }

  *recording(): Generator<string> {
    if (!this.#hello) return;
    yield this.#greeting(false);
    yield* this.#reel.story();
  }

  command(words: readonly string[]): Promise<object> {
    return this.#server.command(words);
  }

  #take(message: Message): void {
    switch (message.type) {
      case 'hello':
        this.#hello = message;
        return;
      case 'state':
        return this.#gather(message);
      case 'records':
        this.#reel.push(message.records);
        return this.#watchers.pump();
      case 'lost':
        return this.#watchers.say(JSON.stringify(message));
      case 'live':
        return;
      case 'bye':
        this.#watchers.say(JSON.stringify(message));
        this.#stop?.();
        return this.#ended(message.reason);
    }
  }

  /** The last part of a state makes it whole; it takes the place of all that was known. */
  #gather({ part, of, processes, actors, beats }: Extract<Message, { type: 'state' }>): void {
    const before = part === 1 ? undefined : this.#parts;
    this.#parts = {
      processes: [...(before?.processes ?? []), ...processes],
      actors: [...(before?.actors ?? []), ...actors],
      beats: [...(before?.beats ?? []), ...beats],
    };
    if (part < of) return;
    this.#reel.reset(this.#parts);
    this.#parts = undefined;
    if (this.#isKnown) return this.#watchers.restart();
    this.#isKnown = true;
    for (const one of [...this.#waiting]) {
      this.#waiting.delete(one);
      this.#admit(one);
    }
  }

  #admit(one: Waiting): void {
    const { watcher, options } = one;
    one.remove = this.#watchers.add(watcher, this.#greeting(options.controls), options.from);
  }

  #greeting(controls: boolean): string {
    const hello = this.#hello!;
    const control = controls && hello.control;
    return JSON.stringify({ ...hello, control, commands: control ? hello.commands : [] });
  }

  #ended(why: string): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    const watchers = this.#watchers;
    this.#forget();
    for (const { watcher } of waiting) watcher.end(why);
    watchers.end(why);
  }

  #forget(): void {
    this.#stop = undefined;
    this.#isKnown = false;
    this.#hello = undefined;
    this.#parts = undefined;
    this.#reel = new Reel();
    this.#watchers = new Watchers(this.#reel);
  }
}
