/** The WebSocket to the inspector's server, which is tried again for ever, ever more slowly. Runs in the browser. */

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 10_000;
/** Texts that wait for a frame; more are given out at once. */
const WAITING_MAX = 400;
const HIDDEN_FRAME_MS = 250;

export interface Listener {
  /** All that came since the last frame. */
  texts(texts: readonly string[]): void;
  opened(): void;
  /** The next try is in so many milliseconds. */
  closed(retryMs: number): void;
}

export class Connection {
  #socket: WebSocket | undefined;
  #retryMs = RETRY_FIRST_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: string[] = [];
  #scheduled = false;
  #over = false;
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
    this.#open();
  }

  send(message: unknown): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  retryNow(): void {
    clearTimeout(this.#timer);
    if (this.#socket?.readyState === WebSocket.CLOSED) this.#open();
  }

  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#waiting = [];
    this.#socket?.close();
  }

  #open(): void {
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live`);
    this.#socket = socket;
    socket.onopen = () => {
      if (!this.#over) this.#listener.opened();
    };
    socket.onmessage = ({ data }) => {
      if (this.#over || typeof data !== 'string') return;
      this.#retryMs = RETRY_FIRST_MS;
      this.#waiting.push(data);
      if (this.#waiting.length >= WAITING_MAX) this.#giveOut();
      else this.#schedule();
    };
    socket.onclose = () => {
      if (this.#over) return;
      this.#giveOut();
      this.#listener.closed(this.#retryMs);
      this.#timer = setTimeout(() => this.#open(), this.#retryMs);
      this.#retryMs = Math.min(RETRY_MOST_MS, this.#retryMs * 2);
    };
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const give = () => {
      this.#scheduled = false;
      this.#giveOut();
    };
    // A page that is not seen has no frames, and shall not gather messages for ever.
    if (document.hidden) setTimeout(give, HIDDEN_FRAME_MS);
    else requestAnimationFrame(give);
  }

  #giveOut(): void {
    if (this.#over || this.#waiting.length === 0) return;
    const texts = this.#waiting;
    this.#waiting = [];
    this.#listener.texts(texts);
  }
}
