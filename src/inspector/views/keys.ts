/** The keys that work everywhere in the page. Runs in the browser. */
import { type Store, VIEWS } from '../store.ts';
import { steppedZoom, type Zoom } from './diagram.tsx';

export const KEYS: [string, string][] = [
  ['Space', 'pause, or back to live; a button is pressed with Enter'],
  [', .', 'one record back or on (with Shift 100)'],
  ['l', 'back to live'],
  ['1 – 5', 'tree, machine, sequence, fleet, figures'],
  ['+ − 0', 'larger, smaller, the whole picture or 100 % (also Ctrl and the wheel)'],
  ['/', 'search in the sequence'],
  ['f', 'filter the sequence'],
  ['n N', 'next and previous match'],
  ['x X', 'next and previous trouble: errors, deaths, hangs, failures'],
  ['e', 'export a recording'],
  ['o', 'open a recording'],
  ['t', 'light, dark, as the system'],
  ['a', 'plain actors too in the tree'],
  ['↑ ↓ ← →', 'in the tree: move, close, open; in the sequence: choose'],
  ['Enter', 'in the tree: show the machine'],
  ['Esc', 'close what is open'],
  ['?', 'these keys'],
];

const THEMES = ['auto', 'light', 'dark'] as const;

export const nextTheme = (theme: Store['theme']): Store['theme'] =>
  THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;

function zoomTo(store: Store, zoom: Zoom): void {
  if (store.zoomed === 'fleet') store.zoomFleet(zoom);
  else if (store.zoomed === 'machine') store.zoomMachine(zoom);
}

function focusOn(store: Store, selector: string): void {
  store.fold('sequence', false);
  store.set({ view: 'sequence' });
  requestAnimationFrame(() => document.querySelector<HTMLInputElement>(selector)?.focus());
}

/** A key that a control takes for itself: Enter presses a button, arrows move a range. Space is the page's own. */
export function listenToKeys(store: Store): void {
  document.addEventListener('keydown', (event) => {
    const target = event.target as HTMLElement;
    const typing = target.matches('input:not([type=range]), textarea, select');
    if (event.key === 'Escape') {
      if (store.help || store.asking) return store.set({ help: false, asking: null });
      if (typing) return target.blur();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    // A dialog has its own keys; what is under it is not worked.
    if ((store.help || store.asking) && event.key !== '?') return;
    if (store.asking) return;
    const act = actionOf(store, event.key);
    if (!act) return;
    event.preventDefault();
    if (!event.repeat || event.key !== ' ') act();
  });
  // A button is pressed when Space is let go: not by one that paused.
  document.addEventListener('keyup', (event) => {
    const target = event.target as HTMLElement;
    if (event.key === ' ' && !store.help && !store.asking && target.matches('button, summary'))
      event.preventDefault();
  });
  // What was pressed with a pointer shall not answer keys that are meant for the page.
  document.addEventListener('click', (event) => {
    const button = (event.target as Element).closest<HTMLElement>('.controls button, .order button');
    if (button && event.detail > 0) button.blur();
  });
}

function actionOf(store: Store, key: string): (() => void) | undefined {
  const view = VIEWS[Number(key) - 1];
  if (view) return () => store.set({ view });
  switch (key) {
    case ' ':
      return () => store.pause();
    case ',':
      return () => store.goTo(store.position - 1);
    case '.':
      return () => store.goTo(store.position + 1);
    case '<':
    case ';':
      return () => store.goTo(store.position - 100);
    case '>':
    case ':':
      return () => store.goTo(store.position + 100);
    case 'l':
      return () => store.goLive();
    case '+':
    case '=':
      return () => zoomTo(store, steppedZoom(1));
    case '-':
      return () => zoomTo(store, steppedZoom(-1));
    case '0':
      return () => zoomTo(store, store.zooms[store.zoomed ?? 'machine'] === 'fit' ? 1 : 'fit');
    case '/':
      return () => focusOn(store, '#find');
    case 'f':
      return () => focusOn(store, '#filter');
    case 'n':
      return () => store.jump(1);
    case 'N':
      return () => store.jump(-1);
    case 'a':
      return () => store.set({ plainShown: !store.plainShown });
    case 'x':
      return () => store.jumpToTrouble(1);
    case 'X':
      return () => store.jumpToTrouble(-1);
    case 'e':
      return () => store.export();
    case 'o':
      return () => document.querySelector<HTMLInputElement>('#open')?.click();
    case 't':
      return () => store.setTheme(nextTheme(store.theme));
    case '?':
      return () => store.set({ help: !store.help });
    default:
      return undefined;
  }
}
