/**
 * What passes between actors, across processes, on lifelines. Only the rows that are seen exist, and only the lifelines
 * of who takes part in them. Runs in the browser.
 */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Plain } from '../../actors/inspect/records.ts';
import { KINDS, type Kind } from '../model/sift.ts';
import { type Drawn, tellOf } from '../model/tell.ts';
import type { Store } from '../store.ts';
import type { Props } from './app.tsx';
import { lanesOf } from './lanes.ts';
import { Value } from './value.tsx';
import { clock, number } from './words.ts';

const ROW = 22;
const HEAD = 100;
const KIND_TITLES: Record<Kind, string> = {
  events: 'events',
  steps: 'steps',
  lives: 'processes',
  log: 'log',
};

function Arrow({ record, ends, y, lanes }: Drawn & { y: number; lanes: Map<string, number> }) {
  if (record.t === 'step') return <circle class="mark" cx={lanes.get(record.id)} cy={y} r="4" />;
  if (!ends) return null;
  const to = lanes.get(ends.to)!;
  const from = ends.from === null ? to - 14 : lanes.get(ends.from)!;
  if (from === to)
    return (
      <g class="arrow loop">
        <path d={`M${to} ${y - 6}h7a5 5 0 0 1 0 10h-2`} />
        <path class="tip" d={`M${to + 1} ${y + 4}l6 -3.5v7z`} />
      </g>
    );
  const way = Math.sign(to - from);
  const tip = to - way * 2;
  const kind = ends.from === null ? 'outside' : ends.tookMs === undefined ? '' : 'across';
  return (
    <g class={`arrow ${kind}`}>
      <path d={`M${from} ${y}H${tip}`} />
      <path class="tip" d={`M${tip} ${y}l${-way * 6} -3.5v7z`} />
    </g>
  );
}

function Tools({ store, count }: { store: Store; count: number }) {
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

function Detail({ store }: { store: Store }) {
  const { timeline } = store.session;
  const record = store.record === null ? undefined : timeline.at(store.record);
  if (!record) return null;
  const ends = timeline.endsOf(store.record!);
  const { what, who } = tellOf({ record, ends }, timeline.cast);
  return (
    <section class="detail" aria-label="The chosen record">
      <h3>
        {what} <span class="faint">{who}</span>
        {ends?.tookMs !== undefined && (
          <span class="faint">between processes, in {ends.tookMs.toFixed(1)} ms</span>
        )}
        {(record.t === 'event' || record.t === 'step') && (
          <button type="button" class="button" onClick={() => store.set({ view: 'machine' })}>
            Show the machine
          </button>
        )}
      </h3>
      <Value key={store.record} name="record" value={record as unknown as Plain} open />
    </section>
  );
}

export function SequenceView({ store }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  const dropped = useRef(0);
  const aimed = useRef<number | null>(null);
  const [seen, setSeen] = useState({ top: 0, width: 800, height: 400 });

  const { timeline } = store.session;
  const sift = store.updateSift();
  const shown = store.cursor === null ? sift.count : sift.indexFrom(store.position);
  const total = sift.count * ROW;

  useLayoutEffect(() => {
    const element = box.current!;
    const measure = () =>
      setSeen({ top: element.scrollTop, width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = box.current!;
    if (store.cursor !== aimed.current) follow.current = store.cursor === null;
    // Rows above that are no longer kept must not push what is read.
    if (sift.dropped > dropped.current) element.scrollTop -= (sift.dropped - dropped.current) * ROW;
    if (store.cursor === null) {
      if (follow.current) element.scrollTop = total;
    } else if (store.cursor !== aimed.current) {
      const y = Math.max(0, shown - 1) * ROW;
      const room = element.clientHeight - HEAD;
      if (y < element.scrollTop || y > element.scrollTop + room - 2 * ROW) element.scrollTop = y - room / 2;
    }
    aimed.current = store.cursor;
    dropped.current = sift.dropped;
  });

  const room = Math.max(0, seen.height - HEAD);
  const top =
    follow.current && store.cursor === null
      ? Math.max(0, total - room)
      : Math.min(seen.top, Math.max(0, total - room));
  const first = Math.max(0, Math.floor(top / ROW) - 3);
  const last = Math.min(sift.count, Math.ceil((top + room) / ROW) + 3);
  const rows: (Drawn & { position: number })[] = [];
  for (let index = first; index < last; index++) {
    const position = sift.at(index)!;
    const record = timeline.at(position);
    if (record) rows.push({ position, record, ends: timeline.endsOf(position) });
  }
  const narrow = seen.width < 560;
  const lanesWidth = seen.width * (narrow ? 0.3 : 0.5);
  const { lanes, laneWidth } = lanesOf(rows, { root: store.session.hello?.pid ?? 0, width: lanesWidth });
  const find = store.find.trim().toLowerCase();
  const move = (by: number): void => {
    const here = store.record === null ? shown : sift.indexFrom(store.record);
    const position = sift.at(Math.max(0, Math.min(sift.count - 1, here + by)));
    if (position !== undefined) store.chooseRecord(position);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -sift.count, End: sift.count }[
      event.key
    ];
    if (by === undefined) return;
    event.preventDefault();
    move(by);
  };

  return (
    <div class="sequence">
      <Tools store={store} count={sift.count} />
      <div
        class="seq-box"
        ref={box}
        role="listbox"
        aria-label="Sequence"
        aria-activedescendant={store.record === null ? undefined : `record-${store.record}`}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onScroll={({ currentTarget: { scrollTop, clientWidth, clientHeight, scrollHeight } }) => {
          follow.current = scrollTop + clientHeight >= scrollHeight - ROW;
          if (scrollTop !== seen.top) setSeen({ top: scrollTop, width: clientWidth, height: clientHeight });
        }}
      >
        <div class="seq-head" style={{ height: `${HEAD}px` }} aria-hidden="true">
          {[...lanes].map(([id, x]) => {
            const { process, name } = timeline.cast.role(id);
            return (
              <div
                key={id}
                class={`lane-title ${laneWidth < 76 ? 'slanted' : ''} ${id === store.actor ? 'chosen' : ''}`}
                style={{ left: `${88 + x}px`, width: laneWidth < 76 ? '120px' : `${laneWidth - 6}px` }}
                title={`${process} / ${name}`}
              >
                <small>{process}</small> {name}
              </div>
            );
          })}
        </div>
        <div class="seq-rows" style={{ height: `${total}px` }}>
          {sift.count === 0 && <p class="empty">Nothing to show yet.</p>}
          {rows.map(({ position, record, ends }, index) => {
            const { what, who } = tellOf({ record, ends }, timeline.cast);
            const past = store.cursor !== null && position >= store.cursor;
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the list takes the keys
              <div
                key={position}
                id={`record-${position}`}
                role="option"
                tabIndex={-1}
                aria-selected={position === store.record}
                class={`seq-row kind-${record.t} ${past ? 'later' : ''} ${find !== '' && store.isMatch(record, find) ? 'match' : ''}`}
                style={{ top: `${(first + index) * ROW}px` }}
                onClick={() => store.chooseRecord(position)}
              >
                <time>{clock(record.at)}</time>
                <span class="seq-text" style={{ left: `${100 + lanes.size * laneWidth}px` }}>
                  <b>{what}</b> <span class="faint">{who}</span>
                </span>
              </div>
            );
          })}
          <svg
            class="seq-lines"
            aria-hidden="true"
            style={{ top: `${first * ROW}px`, left: '88px' }}
            width={Math.max(1, lanes.size * laneWidth)}
            height={Math.max(1, rows.length * ROW)}
          >
            {[...lanes].map(([id, x]) => (
              <path
                key={id}
                class={id === store.actor ? 'life chosen' : 'life'}
                d={`M${x} 0V${rows.length * ROW}`}
              />
            ))}
            {rows.map(({ position, record, ends }, index) => (
              <Arrow key={position} record={record} ends={ends} y={(index + 0.5) * ROW} lanes={lanes} />
            ))}
          </svg>
        </div>
      </div>
      <Detail store={store} />
    </div>
  );
}
