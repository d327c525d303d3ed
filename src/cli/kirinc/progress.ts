/**
 * How far an order that is waited for has come: a bar on a terminal, else a line for each step. On standard error,
 * so that standard output stays what was asked for.
 */

import type { SingleBar } from 'cli-progress';
import { cell, type Data, numberOf, type Output } from './core.ts';

const BAR_WIDTH = 24;
const BAR = { full: '█', empty: '░' };

interface Step {
  step: string;
  done: number;
  total: number | undefined;
}

export class Progress {
  readonly #output: Output;
  #bar: SingleBar | undefined;
  #ready: Promise<void> | undefined;
  #last: Step | undefined;
  #ended = false;

  constructor(output: Output) {
    this.#output = output;
  }

  step(data: Data): void {
    const step = {
      step: cell(data['step']),
      done: numberOf(data['done']) ?? 0,
      total: numberOf(data['total']),
    };
    if (!process.stderr.isTTY || process.env['TERM'] === 'dumb') return this.#output.remark(lineOf(step));
    this.#last = step;
    this.#ready ??= this.#start();
    this.#show();
  }

  /** Takes the bar away. */
  end(): void {
    this.#ended = true;
    this.#bar?.stop();
  }

  async #start(): Promise<void> {
    const { default: progress } = await import('cli-progress');
    if (this.#ended) return;
    this.#bar = new progress.SingleBar({
      stream: process.stderr,
      format: (_options, { progress: share }, { text }) => barOf(share, String(text)),
      clearOnComplete: true,
      hideCursor: false,
      gracefulExit: false,
      emptyOnZero: true,
    });
    this.#bar.start(1, 0, { text: '' });
    this.#show();
  }

  #show(): void {
    if (!this.#bar || !this.#last) return;
    const { done, total } = this.#last;
    this.#bar.setTotal(total ?? Math.max(1, done));
    this.#bar.update(total === undefined ? 0 : done, { text: lineOf(this.#last) });
  }
}

/** `[2/4] worker 7 is ready` */
function lineOf({ step, done, total }: Step): string {
  return total === undefined ? step : `[${done}/${total}] ${step}`;
}

function barOf(share: number, text: string): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  const bar = BAR.full.repeat(full) + BAR.empty.repeat(BAR_WIDTH - full);
  const room = (process.stderr.columns || 80) - BAR_WIDTH - 2;
  return `${bar} ${text.slice(0, Math.max(0, room))}`;
}
