/** The picture of a machine, with its active states lit and in sight, at a size of one's choice. Runs in the browser. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Taken } from '../../actors/inspect/records.ts';
import { count, fitScale, light, pictureOf, resize, reveal } from './picture.ts';

/** `fit`: the whole picture; else a scale, 1 as it was drawn. */
export type Zoom = 'fit' | number;

const STEP = 1.25;
const SCALE_MIN = 0.2;
const SCALE_MAX = 4;
const PADDING = 28;

export interface DiagramProps {
  machine: string;
  active: ReadonlySet<string>;
  /** What was taken last; lit for a moment when `flash` changes. */
  took?: readonly Taken[];
  flash?: number;
  /** Whose states these are; nothing flashes because another one is shown. */
  focus?: string;
  /** How many are in each state. */
  counts?: ReadonlyMap<string, number>;
  zoom: Zoom;
  onZoom: (zoom: Zoom) => void;
}

/** How large the picture that is on the page is drawn now. */
let shownScale = 1;

/** The size after a step in or out. */
export function steppedZoom(direction: 1 | -1): number {
  const next = shownScale * STEP ** direction;
  // 100 % is on the way.
  const passes = (shownScale - 1) * (next - 1) < 0 && Math.abs(shownScale - 1) > 0.01;
  return passes ? 1 : Math.min(SCALE_MAX, Math.max(SCALE_MIN, next));
}

function ZoomTools({ zoom, onZoom, scale }: { zoom: Zoom; onZoom: (zoom: Zoom) => void; scale: number }) {
  return (
    <div class="zoom" role="toolbar" aria-label="Size of the picture">
      <button type="button" class="button" aria-pressed={zoom === 'fit'} onClick={() => onZoom('fit')}>
        Fit
      </button>
      <button type="button" class="button" aria-pressed={zoom === 1} onClick={() => onZoom(1)}>
        100 %
      </button>
      <button type="button" class="button" aria-label="Smaller" onClick={() => onZoom(steppedZoom(-1))}>
        −
      </button>
      <output>{Math.round(scale * 100)} %</output>
      <button type="button" class="button" aria-label="Larger" onClick={() => onZoom(steppedZoom(1))}>
        +
      </button>
    </div>
  );
}

export function Diagram(props: DiagramProps) {
  const { machine, flash, focus, zoom, onZoom } = props;
  const place = useRef<HTMLDivElement>(null);
  const flashed = useRef(flash);
  const focused = useRef<string | undefined>(undefined);
  const seen = useRef<{ svg: unknown; focus: unknown; lit: ReadonlySet<string> } | undefined>(undefined);
  const [svg, setSvg] = useState<SVGSVGElement | null | undefined>(undefined);
  const [room, setRoom] = useState({ width: 0, height: 0 });
  useEffect(() => {
    let current = true;
    setSvg(undefined);
    void pictureOf(machine).then((found) => {
      if (current) setSvg(found ? (found.cloneNode(true) as SVGSVGElement) : null);
    });
    return () => {
      current = false;
    };
  }, [machine]);
  useLayoutEffect(() => {
    const box = place.current!;
    const measure = () => setRoom({ width: box.clientWidth, height: box.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    measure();
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    place.current?.replaceChildren(...(svg ? [svg] : []));
    // Another picture begins at its own corner, not where the last one was left.
    place.current?.scrollTo(0, 0);
  }, [svg]);

  const scale =
    zoom === 'fit' && svg
      ? fitScale(svg, { width: room.width - PADDING, height: room.height - PADDING })
      : Number(zoom) || 1;
  const before = useRef(scale);
  useLayoutEffect(() => {
    if (!svg) return;
    const box = place.current!;
    const ratio = scale / before.current;
    // What is in the middle stays there.
    const x = (box.scrollLeft + box.clientWidth / 2) * ratio - box.clientWidth / 2;
    const y = (box.scrollTop + box.clientHeight / 2) * ratio - box.clientHeight / 2;
    resize(svg, scale);
    if (ratio !== 1) box.scrollTo(x, y);
    before.current = scale;
    shownScale = scale;
  }, [svg, scale]);
  useLayoutEffect(() => {
    if (!svg) return;
    const same = focused.current === focus;
    light(svg, { active: props.active, took: props.took ?? [], flash: same && flash !== flashed.current });
    if (props.counts) count(svg, props.counts);
    focused.current = focus;
    flashed.current = flash;
    // A view that is not seen has no size: it is scrolled when it appears.
    if (room.width === 0) {
      seen.current = undefined;
      return;
    }
    const inner = [...svg.querySelectorAll('.lit[data-state]:is(.atomic, .final)')];
    const lit = new Set(inner.map((element) => element.getAttribute('data-state')!));
    const last = seen.current;
    const known = last?.svg === svg && last.focus === focus ? last.lit : new Set<string>();
    seen.current = { svg, focus, lit };
    const moved = inner.find((element) => !known.has(element.getAttribute('data-state')!));
    if (moved && !props.counts) reveal(place.current!, moved);
  });
  useEffect(() => {
    const box = place.current!;
    const onWheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      onZoom(Math.min(SCALE_MAX, Math.max(SCALE_MIN, shownScale * 1.0015 ** -event.deltaY)));
    };
    box.addEventListener('wheel', onWheel, { passive: false });
    return () => box.removeEventListener('wheel', onWheel);
  }, [onZoom]);
  return (
    <div class="diagram">
      {svg === null && <p class="empty">There is no picture of this machine.</p>}
      <ZoomTools zoom={zoom} onZoom={onZoom} scale={scale} />
      <section
        class="picture"
        data-machine={machine}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no pointer scrolls it by keys
        tabIndex={0}
        aria-label={`The machine ${machine}`}
        ref={place}
      />
    </div>
  );
}
