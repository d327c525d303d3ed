/** Who is watched, how the connection is, and what can be done about it. Runs in the browser. */
import type { Store } from '../store.ts';
import type { Props } from './app.tsx';
import { nextTheme } from './keys.ts';
import { number, span } from './words.ts';

interface Line {
  tone: 'ready' | 'booting' | 'draining' | 'failed';
  sign: string;
  text: string;
}

function lineOf(store: Store): Line {
  const { session, link, file, cursor } = store;
  if (session.problem) return { tone: 'failed', sign: '✕', text: session.problem };
  if (link === 'file') return { tone: 'draining', sign: '▣', text: `recording ${file}` };
  if (link === 'closed') {
    const why = session.bye ? `${session.bye}: ` : '';
    return { tone: 'failed', sign: '✕', text: `${why}reconnecting in ${span(store.retryMs)}` };
  }
  if (link === 'connecting' || !session.hello) return { tone: 'booting', sign: '◔', text: 'connecting' };
  if (session.bye) return { tone: 'failed', sign: '✕', text: session.bye };
  if (session.hello.source === 'recording')
    return { tone: 'draining', sign: '▣', text: `recording ${session.hello.file ?? ''}` };
  if (cursor !== null) return { tone: 'draining', sign: '‖', text: 'paused' };
  if (!session.present) return { tone: 'booting', sign: '◔', text: 'reading the recent past' };
  return { tone: 'ready', sign: '●', text: 'live' };
}

function Controls({ store }: { store: Store }) {
  const { hello } = store.session;
  if (!hello || store.isOver) return null;
  if (!hello.control)
    return (
      <p class="hint">
        Watching only. For buttons that act, start with <code>--inspector-control</code>.
      </p>
    );
  const can = (words: string): boolean => hello.commands.includes(words);
  const button = (words: readonly string[], title: string) => (
    <button type="button" class="button" onClick={() => store.order([...words, '--wait'])}>
      {title}
    </button>
  );
  const chosen = store.actor === null ? undefined : store.session.timeline.now.actor(store.actor);
  const pid = chosen && (chosen.about?.pid || chosen.pid);
  const process = pid ? store.session.timeline.now.process(pid) : undefined;
  return (
    <div class="controls" role="toolbar" aria-label="Control">
      {can('worker add') && button(['worker', 'add', '1'], '+ worker')}
      {can('worker remove') && button(['worker', 'remove', '1'], '− worker')}
      {can('dirty add') && button(['dirty', 'add', '1'], '+ dirty')}
      {can('dirty remove') && button(['dirty', 'remove', '1'], '− dirty')}
      {can('reload') && button(['reload'], 'Reload')}
      {can('worker kill') && (
        <button
          type="button"
          class="button danger"
          disabled={process?.process !== 'web'}
          title={process?.process === 'web' ? undefined : 'Choose a web worker in the tree first'}
          onClick={() =>
            process &&
            store.set({
              asking: { pid: process.pid, title: store.session.timeline.cast.process(process.pid) },
            })
          }
        >
          {process?.process === 'web' ? `Kill ${store.session.timeline.cast.process(process.pid)}…` : 'Kill…'}
        </button>
      )}
    </div>
  );
}

const THEME_TITLES = { auto: '◐ Auto', light: '☀ Light', dark: '☾ Dark' } as const;

export function Header({ store }: Props) {
  const { session } = store;
  const line = lineOf(store);
  return (
    <header class="header" data-folded={String(store.folded.header)}>
      <h1>
        <span class="brand">Kirin</span>
        {session.hello && (
          <span class="what">
            {session.hello.app}{' '}
            <small>
              pid {session.hello.pid} · {session.hello.kirin} · Node {session.hello.node}
            </small>
          </span>
        )}
      </h1>
      <p class={`line tone-${line.tone}`} role="status" id="line">
        <span aria-hidden="true">{line.sign}</span> {line.text}
        {session.lost > 0 && <span class="lost"> · lost {number(session.lost)} records</span>}
      </p>
      {store.link === 'closed' && (
        <button type="button" class="button" onClick={() => store.retryNow()}>
          Try now
        </button>
      )}
      {store.link === 'file' && (
        <button type="button" class="button" onClick={() => store.connect()}>
          Close the file
        </button>
      )}
      <button
        type="button"
        class="button narrow-only"
        aria-label="Orders and tools"
        aria-expanded={!store.folded.header}
        onClick={() => store.fold('header')}
      >
        ☰
      </button>
      <Controls store={store} />
      <div class="tools">
        <button type="button" class="button" onClick={() => store.export()} disabled={!session.hello}>
          Export
        </button>
        <button
          type="button"
          class="button"
          onClick={() => document.querySelector<HTMLInputElement>('#open')?.click()}
        >
          Open…
        </button>
        <input
          id="open"
          type="file"
          accept=".jsonl"
          hidden
          onChange={({ currentTarget }) => {
            const file = currentTarget.files?.[0];
            currentTarget.value = '';
            if (file) void store.open(file);
          }}
        />
        <button
          type="button"
          class="button"
          id="theme"
          onClick={() => store.setTheme(nextTheme(store.theme))}
        >
          {THEME_TITLES[store.theme]}
        </button>
        <button type="button" class="button" aria-label="Keys" onClick={() => store.set({ help: true })}>
          ?
        </button>
      </div>
    </header>
  );
}
