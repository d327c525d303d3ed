/** What is filtered and searched in the sequence; on a phone it is put away until it is wanted. Runs in the browser. */
import { KINDS, type Kind } from '../model/sift.ts';
import type { Store } from '../store.ts';
import { number } from './words.ts';

const KIND_TITLES: Record<Kind, string> = {
  events: 'events',
  steps: 'steps',
  lives: 'processes',
  log: 'log',
};

export function SequenceTools({ store, count }: { store: Store; count: number }) {
  const toggle = (kind: Kind) => {
    const kinds = new Set(store.kinds);
    if (!kinds.delete(kind)) kinds.add(kind);
    store.set({ kinds });
  };
  return (
    <div
      class="seq-tools"
      role="toolbar"
      aria-label="What is shown"
      data-folded={String(store.folded.sequence)}
    >
      <button
        type="button"
        class="button narrow-only fold"
        aria-expanded={!store.folded.sequence}
        onClick={() => store.fold('sequence')}
      >
        Filter and search
      </button>
      <input
        id="filter"
        type="search"
        placeholder="Filter"
        aria-label="Filter"
        value={store.filter}
        onInput={({ currentTarget }) => store.set({ filter: currentTarget.value })}
      />
      <span class="kinds">
        {KINDS.map((kind) => (
          <button
            key={kind}
            type="button"
            class="toggle"
            aria-pressed={store.kinds.has(kind)}
            onClick={() => toggle(kind)}
          >
            {KIND_TITLES[kind]}
          </button>
        ))}
        <button
          type="button"
          class="toggle"
          aria-pressed={store.onlyActor}
          disabled={store.actor === null}
          onClick={() => store.set({ onlyActor: !store.onlyActor })}
        >
          chosen actor only
        </button>
      </span>
      <span class="find">
        <input
          id="find"
          type="search"
          placeholder="Search"
          aria-label="Search"
          value={store.find}
          onInput={({ currentTarget }) => store.set({ find: currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === 'Enter') store.jump(event.shiftKey ? -1 : 1);
          }}
        />
        <button type="button" class="button step" aria-label="Previous match" onClick={() => store.jump(-1)}>
          ↑
        </button>
        <button type="button" class="button step" aria-label="Next match" onClick={() => store.jump(1)}>
          ↓
        </button>
      </span>
      <span class="faint" id="seq-count">
        {number(count)} shown
      </span>
    </div>
  );
}
