/** `top`: a live view of the processes, with keys for orders, each of which is asked for first. */
import { type Context, cell, dataOf, EXIT, Interrupted, isData, ShellError, wantsColour } from './core.ts';
import { FullScreen } from './full-screen.ts';
import { pause, readSeconds } from './interval.ts';
import { type Key, takeKeys } from './keys.ts';
import { Sampler } from './top-data.ts';
import { COLUMNS, describe, isDescending, moved, type Paint, render, type View } from './top-view.ts';

interface Order {
  question: string;
  words: readonly string[];
}

export async function top(rest: readonly string[], context: Context): Promise<number> {
  const seconds = readSeconds(rest[0]);
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new ShellError('top needs a terminal: use "show workers wide", or watch it');
  return await new Top(seconds, context).run();
}

class Top {
  readonly #context: Context;
  readonly #seconds: number;
  readonly #screen = new FullScreen();
  readonly #sampler: Sampler;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  readonly #view: View;
  readonly #paint: Paint;
  #order: Order | undefined;
  #ordered: Promise<void> = Promise.resolve();
  /** Ends the wait for the next look. */
  #wake = new AbortController();
  #status: number = EXIT.ok;

  constructor(seconds: number, context: Context) {
    this.#context = context;
    this.#seconds = seconds;
    this.#sampler = new Sampler(context.session);
    this.#signal = context.signal
      ? AbortSignal.any([context.signal, this.#ending.signal])
      : this.#ending.signal;
    const colour = wantsColour(process.stdout);
    this.#paint = (text, code) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
    this.#view = {
      path: context.session.path,
      seconds,
      sample: undefined,
      error: '',
      sort: 'age',
      descending: false,
      selected: undefined,
      question: '',
      message: '',
      showsHelp: false,
    };
  }

  async run(): Promise<number> {
    const { session } = this.#context;
    const draw = (): void => this.#draw();
    const before = session.notice;
    session.notice = (line) => this.#say(line);
    this.#screen.enter();
    const keys = takeKeys({
      onKey: (key) => this.#onKey(key),
      onSuspend: () => this.#screen.leave(),
      onResume: () => {
        this.#screen.enter();
        draw();
      },
    });
    process.stdout.on('resize', draw);
    try {
      draw();
      while (!this.#signal.aborted) {
        await this.#look();
        this.#wake = new AbortController();
        await pause(this.#seconds * 1000, AbortSignal.any([this.#signal, this.#wake.signal]));
      }
      await this.#ordered;
    } finally {
      process.stdout.off('resize', draw);
      keys.release();
      this.#screen.leave();
      session.notice = before;
    }
    return this.#context.signal?.aborted ? EXIT.interrupted : this.#status;
  }

  async #look(): Promise<void> {
    const view = this.#view;
    try {
      view.sample = await this.#sampler.sample(this.#signal);
      view.error = '';
      if (!view.sample.rows.some(({ pid }) => pid === view.selected)) view.selected = moved(view, 0);
    } catch (error) {
      if (error instanceof Interrupted) return;
      if (!(error instanceof ShellError)) throw error;
      // A server that is being replaced comes back.
      view.error = error.message;
    }
    this.#draw();
  }

  #draw(): void {
    const { columns, rows } = this.#screen;
    this.#screen.draw(render(this.#view, { columns, rows }, this.#paint));
  }

  #say(message: string): void {
    this.#view.message = message;
    this.#draw();
  }

  #onKey(key: Key): void {
    const view = this.#view;
    if (key.ctrl && key.name === 'c') {
      this.#status = EXIT.interrupted;
      return this.#ending.abort();
    }
    const order = this.#order;
    if (order) {
      this.#order = undefined;
      view.question = '';
      if (key.text === 'y' || key.text === 'Y') this.#ordered = this.#carryOut(order);
      else view.message = 'Not done';
    } else if (view.showsHelp) view.showsHelp = false;
    else this.#obey(key);
    this.#draw();
  }

  #obey({ name, text, ctrl }: Key): void {
    const view = this.#view;
    const page = Math.max(1, this.#screen.rows - 8);
    const steps: Record<string, number> = {
      up: -1,
      down: 1,
      pageup: -page,
      pagedown: page,
      home: -1e9,
      end: 1e9,
    };
    const step = steps[name ?? ''];
    if (step !== undefined) view.selected = moved(view, step);
    else if (text === 'q' || name === 'escape' || (ctrl && name === 'd')) this.#ending.abort();
    else if (text === 's' || text === 'S') this.#sortBy(text === 's' ? 1 : -1);
    else if (text === 'o') view.descending = !view.descending;
    else if (text === '?' || text === 'h') view.showsHelp = true;
    else if (text === ' ') this.#wake.abort();
    else this.#ask(text);
  }

  #sortBy(step: number): void {
    const view = this.#view;
    const at = COLUMNS.findIndex(({ key }) => key === view.sort);
    view.sort = COLUMNS[(at + step + COLUMNS.length) % COLUMNS.length]!.key;
    view.descending = isDescending(view.sort);
  }

  /** Asks before anything is ordered. */
  #ask(text: string): void {
    const view = this.#view;
    const pid = String(view.selected);
    const who = describe(view);
    const orders: Record<string, Order | undefined> = {
      '+': { question: 'Add a worker?', words: ['worker', 'add', '1'] },
      '-': { question: 'Remove a worker?', words: ['worker', 'remove', '1'] },
      k: who === undefined ? undefined : { question: `Kill ${who}?`, words: ['worker', 'kill', pid] },
      K:
        who === undefined
          ? undefined
          : { question: `Cut ${who} off at once?`, words: ['worker', 'kill', pid, 'quick'] },
      r: { question: 'Reload all workers?', words: ['reload'] },
    };
    const order = Object.hasOwn(orders, text) ? orders[text] : undefined;
    if (!order) return;
    this.#order = order;
    view.question = order.question;
    view.message = '';
  }

  /** The answer is told below; the view goes on meanwhile. */
  async #carryOut({ words }: Order): Promise<void> {
    const text = words.join(' ');
    this.#say(`${text} ...`);
    try {
      const waits = words[0] === 'reload' && (await this.#canWait());
      const data = await this.#context.session.ask({
        words: waits ? [...words, '--wait'] : words,
        repeatable: false,
        signal: this.#signal,
        ...(waits ? { onProgress: ({ step }) => this.#say(`${text}: ${cell(step)}`) } : {}),
      });
      this.#say(`${text}: ${summary(data)}`);
    } catch (error) {
      if (error instanceof Interrupted) return;
      if (!(error instanceof ShellError)) throw error;
      this.#say(`Error: ${error.message}`);
    }
    this.#wake.abort();
  }

  async #canWait(): Promise<boolean> {
    const help = await this.#context.session.peek(['help']);
    return Object.keys(dataOf(help?.['commands'])).some((usage) => /^reload .*--wait/.test(usage));
  }
}

/** An answer in one line. */
function summary(data: unknown): string {
  if (!isData(data)) return 'done';
  if (data['success'] === false) return `failed: ${cell(data['error'] ?? data['status'])}`;
  const parts = Object.entries(data).filter(([name]) => name !== 'success' && name !== 'stack');
  return parts.map(([name, value]) => `${name} ${cell(value)}`).join(', ') || 'done';
}
