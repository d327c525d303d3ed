/** Where in time the page is, and the way back to now. Runs in the browser. */
import type { Props } from './app.tsx';
import { clock, number, span } from './words.ts';

export function Scrubber({ store }: Props) {
  const { timeline } = store.session;
  const { position, cursor } = store;
  const at = timeline.timeAt(position);
  const behind = timeline.timeAt(timeline.end) - at;
  const when = at === 0 ? '' : clock(at);
  return (
    <footer class="scrubber">
      <button
        type="button"
        class="button pause"
        id="pause"
        disabled={store.isOver}
        aria-pressed={cursor !== null}
        onClick={() => store.pause()}
      >
        {cursor === null ? '‖ Pause' : '▶ Live'}
      </button>
      <button
        type="button"
        class="button step"
        aria-label="One record back"
        onClick={() => store.goTo(position - 1)}
      >
        ‹
      </button>
      <input
        type="range"
        id="scrub"
        aria-label="Moment"
        aria-valuetext={when}
        min={timeline.first}
        max={timeline.end}
        step="1"
        value={position}
        onInput={({ currentTarget }) => store.goTo(Number(currentTarget.value))}
      />
      <button
        type="button"
        class="button step"
        aria-label="One record on"
        onClick={() => store.goTo(position + 1)}
      >
        ›
      </button>
      <span class="troubles">
        {([-1, 1] as const).map((direction) => (
          <button
            key={direction}
            type="button"
            class="button step"
            aria-label={direction === 1 ? 'Next trouble' : 'Previous trouble'}
            title={`${direction === 1 ? 'Next' : 'Previous'} error, death, hang or failure`}
            onClick={() => store.jumpToTrouble(direction)}
          >
            {direction === 1 ? '✕ ›' : '‹ ✕'}
          </button>
        ))}
      </span>
      <output class="when" id="when">
        {when}
        {cursor !== null && behind > 0 && <span class="behind"> −{span(behind)}</span>}
      </output>
      <span class="kept">
        {number(timeline.end - timeline.first)} records
        {timeline.first > 0 && <span class="faint"> · {number(timeline.first)} older ones dropped</span>}
      </span>
    </footer>
  );
}
