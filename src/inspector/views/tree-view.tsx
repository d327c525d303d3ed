/** The tree of processes and actors, with one place in the order of tabs. Runs in the browser. */
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ToldActor } from '../../actors/inspect/records.ts';
import { shortName } from '../model/cast.ts';
import { SIGNS, stateText, toneOf } from '../model/states.ts';
import { rowsOf, type TreeNode, type TreeRow, treeOf } from '../model/tree.ts';
import type { Store } from '../store.ts';
import type { Props } from './app.tsx';
import { age } from './words.ts';

const HEADINGS: Record<string, string> = {
  pid: 'process id',
  age: 'a number that no other process of its kind has had or gets',
  since: 'how long the process has lived, as far as is known',
  gen: 'generation of the code and the settings',
};
/** Per level, in pixels: dirty workers are eight levels deep. */
const INDENT = 7;
/** Processes that are told so soon after the first word were there before. */
const BEGIN_MS = 500;
/** What has ended stays so long. */
const GONE_SHOWN_MS = 6000;
/** Above so many actors, what child machines watch over is closed at first. */
const OPEN_ACTORS_MAX = 80;

/** Where the tree and the machine are not seen together. */
const isNarrow = (): boolean => matchMedia('(max-width: 760px)').matches;

function titleOf({ actor, process }: TreeNode, store: Store): string {
  if (process) return store.session.timeline.cast.process(process.pid);
  return shortName(actor.name);
}

/** In columns, each said by its name to who does not see them. */
function Facts({ node, open, store }: { node: TreeNode; open: boolean; store: Store }) {
  const { actor, fate } = node;
  const { timeline } = store.session;
  // A child machine that is open has its process below it, with the same figures.
  const about = actor.about && !open ? actor.about : undefined;
  const process = node.process ?? (about?.pid ? store.board.process(about.pid) : undefined);
  if (!process && !about) return null;
  const now = fate?.at ?? timeline.timeAt(store.position);
  // What was there when the watch began has lived longer than is known.
  const least = process && process.at <= timeline.begunAt + BEGIN_MS ? '>' : '';
  const generation = process?.generation ?? about?.generation ?? null;
  const facts: [string, string | number | null][] = [
    ['pid', process?.pid ?? (about?.pid || null)],
    ['age', process?.age ?? about?.age ?? null],
    ['since', process ? `${least}${age(now - process.at)}` : null],
    ['generation', generation === null ? null : `g${generation}`],
  ];
  return (
    <>
      {facts.map(([name, value]) => (
        <span key={name} class={`fact fact-${name}`}>
          {value !== null && <span class="unseen">{name} </span>}
          {value}
        </span>
      ))}
    </>
  );
}

function Row({ row, store, chosen, tab }: { row: TreeRow; store: Store; chosen: boolean; tab: boolean }) {
  const { node, level, open, place, of } = row;
  const { actor, process, children, fate } = node;
  const tone = fate ? (fate.bad ? 'failed' : 'ended') : toneOf(actor);
  const state = fate
    ? fate.bad
      ? `ended ${fate.how}`
      : 'ended'
    : actor.machine === null
      ? ''
      : stateText(actor.value, actor.user) || actor.status;
  return (
    <div
      role="treeitem"
      id={`actor-${actor.id}`}
      aria-level={level}
      aria-posinset={place}
      aria-setsize={of}
      aria-expanded={children.length > 0 ? open : undefined}
      aria-selected={chosen}
      tabIndex={tab ? 0 : -1}
      class={`row tone-${tone} ${process ? 'process' : ''} ${actor.machine === null ? 'bare' : ''} ${fate ? 'gone' : ''}`}
      data-machine={actor.machine ?? ''}
      data-pid={actor.pid}
      data-tone={tone}
      style={{ paddingLeft: `${(level - 1) * INDENT + 4}px` }}
      onClick={() => store.choose(actor.id, isNarrow() ? 'machine' : undefined)}
      onDblClick={() => store.choose(actor.id, 'machine')}
      onKeyDown={(event) => event.key === 'Enter' && store.choose(actor.id, 'machine')}
    >
      <button
        type="button"
        class="twist"
        tabIndex={-1}
        aria-hidden="true"
        disabled={children.length === 0}
        onClick={(event) => {
          event.stopPropagation();
          store.toggled.set(actor.id, !open);
          store.changed();
        }}
      >
        {children.length === 0 ? '' : open ? '▾' : '▸'}
      </button>
      <span class="sign" aria-hidden="true">
        {SIGNS[tone]}
      </span>
      <span class="title">{titleOf(node, store)}</span>
      {actor.user && <span class="chip">app</span>}
      <span class="state">{state}</span>
      <Facts node={node} open={open} store={store} />
    </div>
  );
}

export function TreeView({ store }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const keyed = useRef(false);
  const lastAt = useRef(0);
  const shown = useRef<string | null>(null);
  const state = store.board.state;
  const { timeline } = store.session;
  const { position } = store;
  const gone = timeline.fates.machinesBetween(timeline.timeAt(position) - GONE_SHOWN_MS, position);
  const keeps = ({ id }: ToldActor) => store.plainShown || id === store.actor;
  const roots = treeOf(state, { gone, keeps });
  const crowded = state.actors.length > OPEN_ACTORS_MAX;
  const rows = rowsOf(roots, ({ actor }) => {
    const closed = crowded
      ? actor.machine === 'child'
      : actor.machine === 'worker' || actor.machine === 'controlListener';
    return store.toggled.get(actor.id) ?? !closed;
  });
  const chosen = rows.findIndex(({ node }) => node.actor.id === store.actor);
  // Where the chosen row is no longer there, its neighbour takes its place in the order of tabs.
  const at = chosen >= 0 ? chosen : Math.max(0, Math.min(lastAt.current, rows.length - 1));
  lastAt.current = at;
  const hadFocus = list.current?.contains(document.activeElement) ?? false;

  const move = (index: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (!row) return;
    keyed.current = true;
    store.choose(row.node.actor.id);
  };
  const toggle = (row: TreeRow, open: boolean): void => {
    store.toggled.set(row.node.actor.id, open);
    store.changed();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const row = rows[at];
    const acts: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      Home: () => move(0),
      End: () => move(rows.length - 1),
      PageDown: () => move(at + 12),
      PageUp: () => move(at - 12),
      ArrowRight: () => {
        if (row && !row.open && row.node.children.length > 0) toggle(row, true);
        else if (row?.open) move(at + 1);
      },
      ArrowLeft: () => {
        if (row?.open) return toggle(row, false);
        for (let above = at - 1; row && above >= 0; above--)
          if (rows[above]!.level < row.level) return move(above);
      },
    };
    const act = acts[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  };
  useLayoutEffect(() => {
    if (store.actor !== shown.current && chosen >= 0) {
      list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
      shown.current = store.actor;
    }
    const isLeft = hadFocus && document.activeElement === document.body;
    if (!keyed.current && !isLeft) return;
    keyed.current = false;
    list.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  });

  return (
    <>
      <div class="tree-head">
        <button
          type="button"
          class="toggle"
          aria-pressed={store.plainShown}
          title="Actors that are no machines: processes, links, signals, promises"
          onClick={() => store.set({ plainShown: !store.plainShown })}
        >
          plain actors
        </button>
        {['pid', 'age', 'since', 'gen'].map((name) => (
          <span
            key={name}
            class={`fact fact-${name === 'gen' ? 'generation' : name}`}
            title={HEADINGS[name]}
            aria-hidden="true"
          >
            {name}
          </span>
        ))}
      </div>
      <div class="tree" role="tree" aria-label="Processes and actors" ref={list} onKeyDown={onKeyDown}>
        {rows.length === 0 && <p class="empty">Nothing is known yet.</p>}
        {rows.map((row, index) => (
          <Row key={row.node.actor.id} row={row} store={store} chosen={index === chosen} tab={index === at} />
        ))}
      </div>
    </>
  );
}
