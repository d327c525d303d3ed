/**
 * A chart as Mermaid's text, for those who read or paste it. Mermaid draws no line from a composite to a state within it,
 * and none between inner states of two composites: the first goes out from `any`, the second from the outer composite.
 * Development only.
 */
import { type Chart, type ChartEdge, type ChartState, condition, stepText } from './chart.ts';

const nameOf = (id: string): string => id.replace(/[^A-Za-z0-9]/g, '_');
const isWithin = (inner: string, outer: string): boolean => inner.startsWith(`${outer}.`);

/** Where a line begins, and what must be said of it because it begins elsewhere than it should. */
function beginOf({ source, target }: ChartEdge): { from: string; note: string } {
  if (isWithin(target, source)) return { from: `${nameOf(source)}_any`, note: '' };
  const from = source.split('.');
  const to = target.split('.');
  let common = 0;
  while (common < from.length && from[common] === to[common]) common++;
  // A final state or a sibling can be reached from within a composite; the inside of another composite cannot.
  if (from.length - common > 1 && to.length - common > 1)
    return {
      from: nameOf(from.slice(0, common + 1).join('.')),
      note: `in ${from.slice(common + 1).join('.')}: `,
    };
  return { from: nameOf(source), note: '' };
}

export function mermaidOf(chart: Chart): string {
  const byId = new Map<string, ChartState>();
  const index = (state: ChartState): void => {
    byId.set(state.id, state);
    state.states.forEach(index);
  };
  index(chart.root);
  /** What goes back to a composite around its source begins it anew: at its innermost initial state. */
  const endOf = ({ source, target }: ChartEdge): string => {
    let id = target;
    if (isWithin(source, target))
      for (let next = byId.get(id)?.initial; next; next = byId.get(id)?.initial) id = next;
    return nameOf(id);
  };

  const lines = ['stateDiagram-v2', `  %% ${chart.id}: ${chart.description}`];
  const inside = (state: ChartState, indent: string): void => {
    if (state.initial) lines.push(`${indent}[*] --> ${nameOf(state.initial)}`);
    if (chart.edges.some(({ source, target }) => source === state.id && isWithin(target, source)))
      lines.push(`${indent}state "any" as ${nameOf(state.id)}_any`);
    state.states.forEach((inner, position) => {
      if (state.kind === 'parallel' && position > 0) lines.push(`${indent}--`);
      visit(inner, indent);
    });
  };
  const visit = (state: ChartState, indent: string): void => {
    const name = nameOf(state.id);
    lines.push(`${indent}%% ${state.description}`);
    lines.push(`${indent}state "${state.key}" as ${name}`);
    const told = [
      ...(state.invokes.length > 0 ? [`runs / ${state.invokes.join(', ')}`] : []),
      ...(state.entry.length > 0 ? [`entry / ${state.entry.join(', ')}`] : []),
      ...(state.exit.length > 0 ? [`exit / ${state.exit.join(', ')}`] : []),
      ...state.again.map((step) => `again: ${stepText(step)}`),
      ...state.inner.map(stepText),
    ];
    // Mermaid shows no description of a composite.
    for (const text of told)
      lines.push(state.states.length > 0 ? `${indent}%% ${text}` : `${indent}${name} : ${text}`);
    if (state.states.length > 0) {
      lines.push(`${indent}state ${name} {`);
      inside(state, `${indent}  `);
      lines.push(`${indent}}`);
    }
    if (state.kind === 'final') lines.push(`${indent}${name} --> [*]`);
  };
  inside(chart.root, '  ');
  for (const edge of chart.edges) {
    const { from, note } = beginOf(edge);
    const label = edge.steps.map((step) => step.text + condition(step));
    lines.push(`  ${from} --> ${endOf(edge)} : ${note}${label.join(', ')}`);
  }
  return `${lines.join('\n')}\n`;
}
