/**
 * A conversation with whatever server has the socket: it survives the server's replacement. What changes something
 * is never sent twice; what only reads may be.
 */
import { type AskOptions, Client, type ClientLimits, LIMITS } from './client.ts';
import { type Data, dataOf, numberOf } from './data.ts';
import { Interrupted, LostError, ShellError, told } from './errors.ts';

export interface Question extends AskOptions {
  words: readonly string[];
  /** Only reads: sent again where the connection was lost. */
  repeatable: boolean;
  /** Nobody waits any more. */
  signal?: AbortSignal;
}

/** How long a server may take to confirm that it waits no longer. */
const CANCEL_MS = 2000;
/** How long Tab may think. */
const PEEK_MS = 1500;

export class Session {
  readonly path: string;
  /** Told, in one line, that another connection is used from now on. */
  notice: (line: string) => void;
  readonly #limits: ClientLimits;
  #client: Client | undefined;
  #connecting: Promise<Client> | undefined;
  /** Of the server that was last spoken to, where it is known. */
  #pid: number | undefined;
  #learns = false;

  constructor(path: string, notice: (line: string) => void, limits = LIMITS) {
    this.path = path;
    this.notice = notice;
    this.#limits = limits;
  }

  /** Connects at once, and from now on keeps the server's pid in mind, to tell when it is another one. */
  async open(): Promise<void> {
    this.#learns = true;
    this.#client = await this.#connect();
    // Not waited for: a server that hangs must not keep the prompt away.
    void this.#learnPid(this.#client);
  }

  /** The `data` of the answer. Rejects with a ShellError. */
  async ask(question: Question): Promise<unknown> {
    const { words, repeatable } = question;
    const client = await this.#connected();
    try {
      return await this.#askOnce(client, question);
    } catch (error) {
      if (!(error instanceof LostError)) throw error;
      if (question.signal?.aborted) throw new Interrupted();
      if (!repeatable) throw new ShellError(told('Connection lost', this.path, unknownFate(words)));
    }
    return await this.#askOnce(await this.#connected(), question);
  }

  /** Another one for each connection. */
  get connection(): object | undefined {
    return this.#client;
  }

  /** The data of an answer, for a suggestion: nothing where that is not to be had quickly. Sends and tells nothing else. */
  async peek(words: readonly string[]): Promise<Data | undefined> {
    try {
      this.#client ??= await this.#connect();
      return this.#client.lost ? undefined : await soon(this.#client.ask(words).answer);
    } catch {
      return undefined;
    }
  }

  close(): void {
    this.#client?.close();
  }

  async #askOnce(client: Client, { words, onProgress, signal }: Question): Promise<unknown> {
    if (signal?.aborted) throw new Interrupted();
    const asked = client.ask(words, onProgress ? { onProgress } : {});
    if (!signal) return await asked.answer;
    let onAbort = (): void => {};
    const interrupted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(new Interrupted());
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([asked.answer, interrupted]);
    } catch (error) {
      if (error instanceof Interrupted) await this.#cancel(client, asked, onProgress !== undefined);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Tells the server that nobody waits; a server that cannot be told is left. */
  async #cancel(
    client: Client,
    asked: { id: number; answer: Promise<unknown> },
    waits: boolean,
  ): Promise<void> {
    const ended = asked.answer.then(
      () => true,
      () => true,
    );
    if (waits) {
      const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), CANCEL_MS).unref());
      const refused = client.ask(['cancel', String(asked.id)]).answer.then(
        () => ended,
        () => false,
      );
      if (await Promise.race([ended, refused, late])) return;
    }
    client.close();
    this.#client = undefined;
  }

  /** The connection, or a new one; those who ask at the same time get the same. */
  async #connected(): Promise<Client> {
    // A connection that has ended in the meantime is seen to have, lest a command is sent into it.
    if (this.#client) await new Promise((resolve) => setImmediate(resolve));
    if (this.#client && !this.#client.lost) return this.#client;
    this.#connecting ??= this.#reconnected(this.#client).finally(() => {
      this.#connecting = undefined;
    });
    return await this.#connecting;
  }

  async #reconnected(before: Client | undefined): Promise<Client> {
    const client = await this.#connect();
    this.#client = client;
    if (before?.understood) {
      const old = this.#pid;
      if (this.#learns) await this.#learnPid(client);
      this.notice(`Reconnected to ${this.path}${change(old, this.#learns ? this.#pid : undefined)}`);
    } else if (this.#learns) void this.#learnPid(client);
    return client;
  }

  #connect(): Promise<Client> {
    return Client.connect(this.path, this.#limits);
  }

  async #learnPid(client: Client): Promise<void> {
    this.#pid = numberOf((await soon(client.ask(['show', 'stats']).answer))?.['pid']);
  }
}

/** The data of an answer, if it comes without a fault while somebody still cares. */
async function soon(answer: Promise<unknown>): Promise<Data | undefined> {
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), PEEK_MS).unref());
  return await Promise.race([answer.then(dataOf, () => undefined), late]);
}

const unknownFate = (words: readonly string[]): string =>
  `the server ended before it answered "${words.join(' ')}"; look whether it was carried out before you repeat it`;

function change(before: number | undefined, after: number | undefined): string {
  if (after === undefined) return '';
  return before === undefined || before === after ? ` (pid ${after})` : ` (pid ${before} → ${after})`;
}
