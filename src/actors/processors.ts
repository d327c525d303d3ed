/** Whether the processors of this machine have anything left. Runs in the arbiter. */
import { type CpuInfo, cpus } from 'node:os';

/** Below this share of idle time, over all of them, whoever wants one waits for it. */
const IDLE_SHARE = 0.1;

export class Processors {
  readonly count: number;
  readonly #read: () => CpuInfo[];
  #before = { all: 0, idle: 0 };

  /** `count`: those that this process may use. */
  constructor(count: number, read = cpus) {
    this.count = count;
    this.#read = read;
  }

  /** Since it was asked last. The first answer is no. */
  areFull(): boolean {
    const now = { all: 0, idle: 0 };
    for (const { times } of this.#read()) {
      now.idle += times.idle;
      now.all += times.user + times.nice + times.sys + times.idle + times.irq;
    }
    const { all, idle } = this.#before;
    this.#before = now;
    return all > 0 && now.all > all && (now.idle - idle) / (now.all - all) < IDLE_SHARE;
  }
}
