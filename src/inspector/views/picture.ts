/** The drawn machines of the package, as SVG: read once each, and lit, marked and sized for what is shown. Runs in the browser. */
import type { Taken } from '../../actors/inspect/records.ts';
import { pictureName, toneOfState } from '../model/states.ts';

const pictures = new Map<string, Promise<SVGSVGElement | null>>();

/** Null where there is none. */
export function pictureOf(machine: string): Promise<SVGSVGElement | null> {
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

/** Lights what is active and the edges that were taken, which flash where that has just happened. */
export function light(
  svg: SVGSVGElement,
  { active, took = [], flash }: { active: ReadonlySet<string>; took?: readonly Taken[]; flash: boolean },
): void {
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

/** A letter of a name in a small picture is about so wide. */
const TITLE_LETTER = 12;

/** Marks each state with how many are in it. */
export function count(svg: SVGSVGElement, counts: ReadonlyMap<string, number>): void {
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
    // About the corner, so that it can be drawn larger in a small picture.
    badge.setAttribute('transform', `translate(${right} ${top})`);
    const pill = document.createElementNS(SVG, 'rect');
    for (const [name, value] of Object.entries({ x: 6 - width, y: -9, width, height: 20, rx: 10 }))
      pill.setAttribute(name, String(value));
    const label = document.createElementNS(SVG, 'text');
    label.setAttribute('x', String(6 - width / 2));
    label.setAttribute('y', '5');
    label.setAttribute('text-anchor', 'middle');
    label.textContent = text;
    const inner = document.createElementNS(SVG, 'g');
    inner.setAttribute('class', 'count-inner');
    inner.style.setProperty('--beside', `${width - 8}px`);
    const title = element.querySelector(':scope > .title')?.textContent ?? '';
    const over = 14 + title.length * TITLE_LETTER - Number(box.getAttribute('width'));
    inner.style.setProperty('--over', `${Math.max(0, over)}px`);
    inner.append(pill, label);
    badge.append(inner);
    element.append(badge);
  }
}

/** Below this, what is written in boxes and on edges cannot be read: only names and counts are left, larger. */
const SMALL = 0.75;

const lengthOf = (svg: SVGSVGElement, side: 'width' | 'height'): number =>
  svg.viewBox.baseVal[side] || svg[side].baseVal.value || 1;

/** The scale at which a picture is seen whole in a box. */
export function fitScale(svg: SVGSVGElement, box: { width: number; height: number }): number {
  const scale = Math.min(box.width / lengthOf(svg, 'width'), box.height / lengthOf(svg, 'height'));
  return Math.min(1.5, Math.max(0.05, scale));
}

export function resize(svg: SVGSVGElement, scale: number): void {
  svg.style.width = `${lengthOf(svg, 'width') * scale}px`;
  svg.style.height = `${lengthOf(svg, 'height') * scale}px`;
  svg.classList.toggle('small', scale < SMALL);
  svg.style.setProperty('--title', `${Math.min(21, 9.5 / scale)}px`);
  svg.style.setProperty('--count', String(Math.min(1.9, 0.85 / scale)));
}

/** Scrolls a box so that something in it is seen, where it is not; of what has no room in it, the beginning, where its name stands. */
export function reveal(box: Element, element: Element): void {
  const outer = box.getBoundingClientRect();
  const inner = element.getBoundingClientRect();
  const margin = 16;
  if (inner.top < outer.top + margin || inner.bottom > outer.bottom - margin)
    box.scrollTop += towards(inner.top, inner.height, outer.top, outer.height, margin);
  if (inner.left < outer.left + margin || inner.right > outer.right - margin)
    box.scrollLeft += towards(inner.left, inner.width, outer.left, outer.width, margin);
}

const towards = (at: number, length: number, from: number, room: number, margin: number): number =>
  length > room - 2 * margin ? at - from - margin : at + length / 2 - (from + room / 2);
