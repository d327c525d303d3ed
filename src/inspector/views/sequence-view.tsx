/**
 * What passes between actors, across processes, on lifelines. Only the rows that are seen exist, and only the lifelines
 * of who takes part in them. Runs in the browser.
 */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Plain } from '../../actors/inspect/records.ts';
import { type Drawn, tellOf } from '../model/tell.ts';
import type { Store } from '../store.ts';
import type { Props } from './app.tsx';
import { Arrow } from './arrow.tsx';
import { lanesOf } from './lanes.ts';
import { SequenceTools } from './sequence-tools.tsx';
import { Value } from './value.tsx';
import { clock } from './words.ts';

/** Of a row; on a phone words and arrows lie below each other. */
const ROW = 22;
const TALL_ROW = 42;
const HEAD = 100;

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
  const aimed = useRef<{ cursor: number | null; row: number }>({ cursor: null, row: ROW });
  const [seen, setSeen] = useState({ top: 0, width: 800, height: 400 });

  const { timeline } = store.session;
  const sift = store.updateSift();
  const shown = store.cursor === null ? sift.count : sift.indexFrom(store.position);
  const narrow = seen.width < 560;
  const row = narrow ? TALL_ROW : ROW;
  const total = sift.count * row;

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
    const isAimed = store.cursor === aimed.current.cursor && row === aimed.current.row;
    if (!isAimed) follow.current = store.cursor === null;
    // Rows above that are no longer kept must not push what is read.
    if (sift.dropped > dropped.current) element.scrollTop -= (sift.dropped - dropped.current) * row;
    if (store.cursor === null) {
      if (follow.current) element.scrollTop = total;
    } else if (!isAimed) {
      const y = Math.max(0, shown - 1) * row;
      const room = element.clientHeight - HEAD;
      if (y < element.scrollTop || y > element.scrollTop + room - 2 * row) element.scrollTop = y - room / 2;
    }
    aimed.current = { cursor: store.cursor, row };
    dropped.current = sift.dropped;
  });

  const room = Math.max(0, seen.height - HEAD);
  const top =
    follow.current && store.cursor === null
      ? Math.max(0, total - room)
      : Math.min(seen.top, Math.max(0, total - room));
  const first = Math.max(0, Math.floor(top / row) - 3);
  const last = Math.min(sift.count, Math.ceil((top + room) / row) + 3);
  const rows: (Drawn & { position: number })[] = [];
  for (let index = first; index < last; index++) {
    const position = sift.at(index)!;
    const record = timeline.at(position);
    if (record) rows.push({ position, record, ends: timeline.endsOf(position) });
  }
  const lanesWidth = narrow ? seen.width - 108 : seen.width * 0.5;
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
      <SequenceTools store={store} count={sift.count} />
      <div
        class="seq-box"
        ref={box}
        role="listbox"
        aria-label="Sequence"
        aria-activedescendant={store.record === null ? undefined : `record-${store.record}`}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onScroll={({ currentTarget: { scrollTop, clientWidth, clientHeight, scrollHeight } }) => {
          follow.current = scrollTop + clientHeight >= scrollHeight - row;
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
                style={{ top: `${(first + index) * row}px`, height: `${row}px` }}
                onClick={() => store.chooseRecord(position)}
              >
                <time>{clock(record.at)}</time>
                <span
                  class="seq-text"
                  style={{ left: narrow ? '92px' : `${100 + lanes.size * laneWidth}px` }}
                >
                  <b>{what}</b> <span class="faint">{who}</span>
                </span>
              </div>
            );
          })}
          <svg
            class="seq-lines"
            aria-hidden="true"
            style={{ top: `${first * row}px`, left: '88px' }}
            width={Math.max(1, lanes.size * laneWidth)}
            height={Math.max(1, rows.length * row)}
          >
            {[...lanes].map(([id, x]) => (
              <path
                key={id}
                class={id === store.actor ? 'life chosen' : 'life'}
                d={`M${x} 0V${rows.length * row}`}
              />
            ))}
            {rows.map(({ position, record, ends }, index) => (
              <Arrow
                key={position}
                record={record}
                ends={ends}
                y={(index + (narrow ? 0.75 : 0.5)) * row}
                lanes={lanes}
              />
            ))}
          </svg>
        </div>
      </div>
      <Detail store={store} />
    </div>
  );
}
