/** The whole page. Runs in the browser. */
import { type Store, VIEWS, type View } from '../store.ts';
import { Dialogs } from './dialogs.tsx';
import { FiguresView } from './figures-view.tsx';
import { FleetView } from './fleet-view.tsx';
import { Header } from './header.tsx';
import { MachineView } from './machine-view.tsx';
import { Scrubber } from './scrubber.tsx';
import { SequenceView } from './sequence-view.tsx';
import { TreeView } from './tree-view.tsx';

export interface Props {
  store: Store;
  /** Counts pictures, so that a view is drawn anew though its store is the same. */
  drawn: number;
}

const TITLES: Record<View, string> = {
  tree: 'Tree',
  machine: 'Machine',
  sequence: 'Sequence',
  fleet: 'Fleet',
  figures: 'Figures',
};
const PANELS = {
  tree: MachineView,
  machine: MachineView,
  sequence: SequenceView,
  fleet: FleetView,
  figures: FiguresView,
} as const;

export function App({ store, drawn }: Props) {
  const Panel = PANELS[store.view];
  return (
    <div class="page" data-view={store.view} data-past={String(store.cursor !== null)}>
      <Header store={store} drawn={drawn} />
      <nav class="tabs" aria-label="Views">
        {VIEWS.map((view) => (
          <button
            key={view}
            type="button"
            class={`tab tab-${view}`}
            aria-current={store.view === view ? 'page' : undefined}
            onClick={() => store.set({ view })}
          >
            {TITLES[view]}
          </button>
        ))}
      </nav>
      <div class="work">
        <aside class="side" aria-label="Processes and actors">
          <TreeView store={store} drawn={drawn} />
        </aside>
        <main class="main">
          <Panel store={store} drawn={drawn} />
        </main>
      </div>
      <Scrubber store={store} drawn={drawn} />
      <Dialogs store={store} drawn={drawn} />
    </div>
  );
}
