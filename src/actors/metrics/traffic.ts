/**
 * Counts the requests of one server for the arbiter, which is told the sums at most once a second and at the end. Runs in web
 * workers, on the data plane: a request costs two looks at the clock. Attached only where somebody counts.
 */
import { DURATION_BOUNDS, type TrafficSums } from '../../machines/events/metrics.ts';

const TELL_MS = 1000;
/** A link takes no longer text. */
const APP_LENGTH_MAX = 60 * 1024;
const BOUNDS_MS = DURATION_BOUNDS.map((seconds) => seconds * 1000);

export interface TrafficDeps {
  tell(sums: TrafficSums): void;
  /** As `tell`, at once. */
  tellNow(sums: TrafficSums): void;
  /** The app's own metrics as JSON, where it has any. */
  app(): string | undefined | Promise<string | undefined>;
  notice(text: string): void;
}

interface Answers {
  readonly status: number;
  count: number;
}

export class Traffic {
  readonly #deps: TrafficDeps;
  readonly #statuses = new Map<number, Answers>();
  /** Of the status that came last, which most often comes next. */
  #latest: Answers = { status: 0, count: 0 };
  readonly #durations: number[] = new Array(BOUNDS_MS.length + 1).fill(0);
  #totalMs = 0;
  #aborted = 0;
  #isChanged = true;
  #app: string | undefined;
  #isTooLong = false;
  readonly #timer: NodeJS.Timeout;

  constructor(deps: TrafficDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.tell(), TELL_MS);
    this.#timer.unref();
    // However this process ends by itself, an uncaught error included; what is new of the app's own is lost then.
    process.on('exit', () => this.#say(deps.tellNow));
  }

  readonly count = (status: number, ms: number, isWhole: boolean): void => {
    this.#isChanged = true;
    if (isWhole) (status === this.#latest.status ? this.#latest : this.#answersWith(status)).count++;
    else this.#aborted++;
    let at = 0;
    while (at < BOUNDS_MS.length && ms > BOUNDS_MS[at]!) at++;
    this.#durations[at]!++;
    this.#totalMs += ms;
  };

  #answersWith(status: number): Answers {
    let answers = this.#statuses.get(status);
    if (!answers) {
      answers = { status, count: 0 };
      this.#statuses.set(status, answers);
    }
    this.#latest = answers;
    return answers;
  }

  /** Tells what is new. Never rejects. */
  async tell(): Promise<void> {
    try {
      this.#take(await this.#deps.app());
    } catch (error) {
      this.#refuse(`could not be read: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#say(this.#deps.tell);
  }

  #say(tell: TrafficDeps['tell']): void {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    tell({
      type: 'worker.metrics',
      statuses: Array.from(this.#statuses, ([status, { count }]) => [status, count]),
      durations: [...this.#durations],
      totalMs: this.#totalMs,
      aborted: this.#aborted,
      app: this.#app,
    });
  }

  /** What happens after the last word is counted by nobody. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.tell();
  }

  #take(app: string | undefined): void {
    if (app === this.#app) return;
    if (app !== undefined && app.length > APP_LENGTH_MAX)
      return this.#refuse(`have more than ${APP_LENGTH_MAX / 1024} KiB of JSON: fewer labels`);
    this.#app = app;
    this.#isChanged = true;
  }

  #refuse(why: string): void {
    if (!this.#isTooLong) this.#deps.notice(`the app's metrics ${why}; those told before stay`);
    this.#isTooLong = true;
  }
}
