/** The picture of a machine, with its active states lit and the edges it took. Runs in the browser. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Taken } from '../../actors/inspect/records.ts';
import { pictureName, toneOfState } from '../model/states.ts';

const pictures = new Map<string, Promise<SVGSVGElement | null>>();

/** Null where there is none. */
function pictureOf(machine: string): Promise<SVGSVGElement | null> {
  const known = pictures.get(machine);
  if (known) return known;
  const loading = fetch(`diagrams/${encodeURIComponent(pictureName(machine))}.svg`)
    .then(async (answer) => {
      if (!answer.ok) return null;
      const root = new DOMParser().parseFromString(await answer.text(), 'image/svg+xml').documentElement;
      return root instanceof SVGSVGElement ? root : null;
    })
    .catch(() => {
      pictures.delete(machine);
      return null;
    });
  pictures.set(machine, loading);
  return loading;
}

export interface DiagramProps {
  machine: string;
  active: ReadonlySet<string>;
  /** What was taken last; lit for a moment when `flash` changes. */
  took?: readonly Taken[];
  flash?: number;
  /** Whose states these are; the innermost one is scrolled to when this changes. */
  focus?: string;
  /** How many are in each state. */
  counts?: ReadonlyMap<string, number>;
  chosen?: (stateId: string) => void;
}

const TONES = ['booting', 'ready', 'draining', 'failed', 'ended'] as const;
const SVG = 'http://www.w3.org/2000/svg';

function tookEdge(element: Element, took: readonly Taken[]): boolean {
  const source = element.getAttribute('data-source');
  const target = element.getAttribute('data-target');
  const events = (element.getAttribute('data-event') ?? '').split(' ');
  const reaches = (one: string): boolean => one === target || one.startsWith(`${target}.`);
  return took.some(
    (one) =>
      one.source === source &&
      events.includes(one.event || 'always') &&
      (target === null ? one.target.every((id) => id === source) : one.target.some(reaches)),
  );
}

function light(svg: SVGSVGElement, { active, took = [] }: DiagramProps, flash: boolean): void {
  for (const element of svg.querySelectorAll('[data-state]')) {
    const id = element.getAttribute('data-state')!;
    const lit = active.has(id);
    element.classList.toggle('lit', lit);
    // A state that holds others is as they are.
    const inner = lit ? ([...active].findLast((one) => one.startsWith(`${id}.`)) ?? id) : '';
    for (const tone of TONES) element.classList.toggle(`tone-${tone}`, lit && toneOfState(inner) === tone);
  }
  for (const element of svg.querySelectorAll('[data-source]')) {
    const taken = tookEdge(element, took);
    element.classList.toggle('taken', taken);
    element.classList.remove('flash');
    if (!taken || !flash) continue;
    // Read, so that the animation begins anew.
    element.getBoundingClientRect();
    element.classList.add('flash');
  }
}

function count(svg: SVGSVGElement, counts: ReadonlyMap<string, number>): void {
  for (const element of svg.querySelectorAll('[data-state]')) {
    const number = counts.get(element.getAttribute('data-state')!) ?? 0;
    let badge = element.querySelector(':scope > .count');
    if (number === 0) {
      badge?.remove();
      continue;
    }
    const box = element.querySelector(':scope > .box');
    if (!box) continue;
    const text = String(number);
    if (badge?.textContent === text) continue;
    badge?.remove();
    badge = document.createElementNS(SVG, 'g');
    badge.setAttribute('class', 'count');
    const width = 14 + text.length * 8;
    const right = Number(box.getAttribute('x')) + Number(box.getAttribute('width'));
    const top = Number(box.getAttribute('y'));
    const pill = document.createElementNS(SVG, 'rect');
    for (const [name, value] of Object.entries({
      x: right - width + 6,
      y: top - 9,
      width,
      height: 20,
      rx: 10,
    }))
      pill.setAttribute(name, String(value));
    const label = document.createElementNS(SVG, 'text');
    label.setAttribute('x', String(right - width / 2 + 6));
    label.setAttribute('y', String(top + 5));
    label.setAttribute('text-anchor', 'middle');
    label.textContent = text;
    badge.append(pill, label);
    element.append(badge);
  }
}

export function Diagram(props: DiagramProps) {
  const { machine, flash, focus, chosen } = props;
  const place = useRef<HTMLDivElement>(null);
  const flashed = useRef(flash);
  const focused = useRef<string | undefined>(undefined);
  const [svg, setSvg] = useState<SVGSVGElement | null | undefined>(undefined);
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
  useEffect(() => {
    place.current?.replaceChildren(...(svg ? [svg] : []));
  }, [svg]);
  useEffect(() => {
    if (!svg) return;
    const same = focused.current === focus;
    light(svg, props, same && flash !== flashed.current);
    if (props.counts) count(svg, props.counts);
    if (!same)
      [...svg.querySelectorAll('.lit[data-state]:is(.atomic, .final)')]
        .at(0)
        ?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    focused.current = focus;
    flashed.current = flash;
  });
  const onClick = (event: MouseEvent): void => {
    const id = (event.target as Element).closest('[data-state]')?.getAttribute('data-state');
    if (id && chosen) chosen(id);
  };
  return (
    <>
      {svg === null && <p class="empty">There is no picture of this machine.</p>}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the list beside it does the same by keyboard */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: as above */}
      <div class="picture" data-machine={machine} ref={place} onClick={onClick} />
    </>
  );
}
