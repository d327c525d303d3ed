/** What the page shows and what was chosen in it; views read it and call it. Runs in the browser. */
import type { Board } from '../actors/inspect/board.ts';
import type { Told } from '../actors/inspect/records.ts';
import { download, rememberedTheme, rememberTheme, takeLines } from './browser.ts';
import { Connection } from './connection.ts';
import { recordingLines } from './model/recording.ts';
import { matchFrom, troubleFrom } from './model/seek.ts';
import { Session } from './model/session.ts';
import { type Kind, Sift, searchText } from './model/sift.ts';
import { tellOf } from './model/tell.ts';
import { Orders } from './orders.ts';
import type { Zoom } from './views/diagram.tsx';
import { clock } from './views/words.ts';

export const VIEWS = ['tree', 'machine', 'sequence', 'fleet', 'figures'] as const;
export type View = (typeof VIEWS)[number];

/** Between two pictures of what happens by itself; what a person does is shown at once. */
const SHOW_EVERY_MS = 120;
const FILE_BYTES_MAX = 512 * 1024 * 1024;

export class Store {
  session: Session;
  link: 'connecting' | 'open' | 'closed' | 'file' = 'connecting';
  retryMs = 0;
  file: string | null = null;
  notice: string | null = null;

  view: View = 'tree';
  actor: string | null = null;
  record: number | null = null;
  kinds: ReadonlySet<Kind> = new Set<Kind>(['events', 'lives', 'log']);
  filter = '';
  find = '';
  onlyActor = false;
  /** Actors that are no machines are in the tree too. */
  plainShown = false;
  theme: 'auto' | 'light' | 'dark' = 'auto';
  /** On a phone: what is needed rarely is put away. */
  readonly folded = { header: true, sequence: true };
  /** How large pictures are drawn. */
  readonly zooms: Record<'machine' | 'fleet', Zoom> = { machine: 1, fleet: 'fit' };
  help = false;
  asking: { pid: number; title: string } | null = null;
  readonly orders = new Orders(() => this.changed());
  readonly toggled = new Map<string, boolean>();
  readonly sift = new Sift();

  #cursor: number | null = null;
  #connection: Connection | undefined;
  #show: () => void = () => {};
  #shownAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.session = this.#freshSession();
    const theme = rememberedTheme();
    if (theme === 'light' || theme === 'dark') this.setTheme(theme);
  }

  start(show: () => void): void {
    this.#show = show;
    this.connect();
  }

  /** The moment that is shown, which the timeline then holds; null is now. */
  get cursor(): number | null {
    return this.#cursor;
  }
  set cursor(cursor: number | null) {
    this.#cursor = cursor;
    this.session.timeline.held = cursor;
  }

  /** Everything that was at the moment that is shown. */
  get board(): Board {
    const { timeline } = this.session;
    return this.cursor === null ? timeline.now : timeline.boardAt(this.cursor);
  }

  get position(): number {
    const { timeline } = this.session;
    return this.cursor === null ? timeline.end : Math.max(timeline.first, this.cursor);
  }

  /** What a person did is shown with the next frame. */
  changed(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#shownAt = performance.now();
    this.#show();
  }

  set(
    some: Partial<
      Pick<
        Store,
        'view' | 'filter' | 'find' | 'kinds' | 'onlyActor' | 'plainShown' | 'help' | 'asking' | 'notice'
      >
    >,
  ): void {
    Object.assign(this, some);
    this.changed();
  }

  /** Of the picture that is on the page. */
  get zoomed(): 'machine' | 'fleet' | null {
    return this.view === 'fleet'
      ? 'fleet'
      : this.view === 'tree' || this.view === 'machine'
        ? 'machine'
        : null;
  }

  readonly zoomMachine = (zoom: Zoom): void => this.#zoom('machine', zoom);
  readonly zoomFleet = (zoom: Zoom): void => this.#zoom('fleet', zoom);

  setTheme(theme: 'auto' | 'light' | 'dark'): void {
    this.theme = theme;
    if (theme === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    rememberTheme(theme);
    this.changed();
  }

  choose(actor: string, view?: View): void {
    this.actor = actor;
    if (view) this.view = view;
    this.changed();
  }

  chooseRecord(position: number): void {
    const record = this.session.timeline.at(position);
    if (!record) return;
    this.record = position;
    this.cursor = position + 1;
    // A list of what one actor does stays that actor's.
    if (this.onlyActor) return this.changed();
    if (record.t === 'event') this.actor = this.session.timeline.endsOf(position)!.to;
    else if (record.t === 'step') this.actor = record.id;
    this.changed();
  }

  /** The moment before a record, which is marked; who is shown stays. */
  chooseMoment(position: number): void {
    this.record = position;
    this.goTo(position);
  }

  goTo(position: number): void {
    const { timeline } = this.session;
    this.cursor = Math.min(timeline.end, Math.max(timeline.first, position));
    this.changed();
  }

  goLive(): void {
    this.cursor = this.isOver ? this.session.timeline.lastLived : null;
    this.record = null;
    this.notice = null;
    this.changed();
  }

  /** A recording: nothing further happens. */
  get isOver(): boolean {
    return this.link === 'file' || this.session.hello?.source === 'recording';
  }

  pause(): void {
    if (this.cursor === null) this.goTo(this.session.timeline.end);
    else this.goLive();
  }

  /** The next or the last record that is shown in the sequence and has what is searched for. */
  jump(direction: 1 | -1): void {
    const { timeline } = this.session;
    const text = this.find.trim().toLowerCase();
    this.updateSift();
    const { sift } = this;
    const here = this.record ?? (direction === 1 ? timeline.first - 1 : timeline.end);
    const found = matchFrom(sift, here, direction, (at) => this.isMatch(timeline.at(at)!, text));
    if (found !== undefined) {
      this.view = 'sequence';
      return this.chooseRecord(found);
    }
    this.set({ notice: text === '' ? 'Nothing further' : `No further match for “${this.find.trim()}”` });
  }

  /** The next or the last error, death, hang or failure. */
  jumpToTrouble(direction: 1 | -1): void {
    const { timeline } = this.session;
    const { position } = this;
    // Where a record is marked, it is that which is left.
    const marked = this.record !== null && this.record + 1 === position ? this.record : null;
    const from = direction === 1 ? (marked === null ? position : marked + 1) : (marked ?? position) - 1;
    const at = troubleFrom(timeline, from, direction);
    if (at !== undefined) {
      this.chooseRecord(at);
      const record = timeline.at(at)!;
      const { what, who } = tellOf({ record, ends: timeline.endsOf(at) }, timeline.cast);
      return this.set({ notice: `${clock(record.at)} ${what}: ${who}` });
    }
    this.set({ notice: `No ${direction === 1 ? 'later' : 'earlier'} trouble is known` });
  }

  isMatch(record: Told, text: string): boolean {
    return text === '' || searchText(record, this.session.timeline).includes(text);
  }

  updateSift(): Sift {
    return this.sift.update(this.session.timeline, {
      text: this.filter.trim().toLowerCase(),
      kinds: this.kinds,
      actor: this.onlyActor ? this.actor : null,
    });
  }

  order(words: readonly string[]): void {
    this.orders.give(words, (message) => this.#connection?.send(message) ?? false);
  }

  fold(part: 'header' | 'sequence', folded = !this.folded[part]): void {
    this.folded[part] = folded;
    this.changed();
  }

  /** From a server; what was known is forgotten only if it was of a file. */
  connect(): void {
    this.#connection?.end();
    if (this.file !== null) this.#forget();
    this.file = null;
    this.link = 'connecting';
    this.#connection = new Connection({
      texts: (texts) => {
        for (const text of texts) this.session.take(text);
        this.#settle();
        this.#happened();
      },
      opened: () => {
        this.link = 'open';
        this.changed();
      },
      closed: (retryMs) => {
        this.link = 'closed';
        this.retryMs = retryMs;
        this.orders.giveUp();
        this.changed();
      },
    });
    this.changed();
  }

  retryNow(): void {
    this.#connection?.retryNow();
  }

  /** Opens a recording that is on this computer. */
  async open(file: File): Promise<void> {
    if (file.size > FILE_BYTES_MAX) return this.set({ notice: `${file.name} is larger than 512 MiB` });
    const session = this.#freshSession();
    try {
      await takeLines(file, (line) => session.take(line));
    } catch (error) {
      return this.set({ notice: `${file.name} cannot be read: ${(error as Error).message}` });
    }
    if (!session.hello) return this.set({ notice: `${file.name} is no recording of Kirin` });
    this.#connection?.end();
    this.#connection = undefined;
    this.orders.giveUp();
    this.#forget();
    this.session = session;
    this.file = file.name;
    this.link = 'file';
    this.cursor = session.timeline.lastLived;
    this.#settle();
    this.changed();
  }

  export(): void {
    const { hello, timeline } = this.session;
    if (!hello) return;
    const when = new Date().toISOString().replace(/[:.]/g, '-').slice(0, 19);
    download(`kirin-${when}.jsonl`, recordingLines(hello, timeline));
  }

  #zoom(view: 'machine' | 'fleet', zoom: Zoom): void {
    this.zooms[view] = zoom;
    this.changed();
  }

  #freshSession(): Session {
    return new Session((answer) => this.orders.answered(answer));
  }

  #forget(): void {
    this.session = this.#freshSession();
    this.cursor = null;
    this.record = null;
    this.actor = null;
  }

  /** A recording stands where its server lived last; the first actor is chosen where none was. */
  #settle(): void {
    const { present, timeline } = this.session;
    if (this.isOver && present && this.cursor === null) this.cursor = timeline.lastLived;
    this.actor ??= this.board.state.actors.find(({ machine }) => machine !== null)?.id ?? null;
    if (this.cursor === null) return;
    if (this.cursor < timeline.first)
      this.notice = 'This moment is no longer kept: here is the oldest that is.';
    this.cursor = Math.min(timeline.end, Math.max(timeline.first, this.cursor));
    if (this.record !== null && this.record < timeline.first) this.record = null;
  }

  #happened(): void {
    if (this.#timer !== undefined) return;
    const wait = Math.max(0, this.#shownAt + SHOW_EVERY_MS - performance.now());
    this.#timer = setTimeout(() => this.changed(), wait);
  }
}
