/** diagrams/README.md: every picture, and each state and event in a sentence. Development only. */
import { EVENT_TEXTS } from '../../machines/events/texts.ts';
import { type Chart, type ChartState, eventMeaning, type Step } from './chart.ts';

const INTRODUCTION = `# Diagrams

Made from the machines' own definitions by \`npm run diagrams\`; a test fails when they are not up to date, so what you see is
what runs. Each picture is beside its text for [Mermaid](https://mermaid.js.org).

How to read them: a box is a state, and a box within a box is a state within a state; boxes with dashed borders are active
together. A dot shows where a state begins, a double border where a machine ends. \`runs\` names the actors that live as long
as the state, \`entry\` and \`exit\` what is done on the way in and out. What has an arrow leads to another state; what has none is
done without leaving the state, and \`↻\` begins it anew. \`[…]\` is a condition, \`/\` comes before what is done. \`any\` stands for
whatever state within the box. Point at a state or an arrow to read more.

A page that inlines a picture finds each state by \`data-state\` (its full path), and each arrow and each line in a box by
\`data-source\`, \`data-event\` (names as XState has them, separated by spaces; \`always\` where there is none) and \`data-target\`. The
class \`lit\` on a state or an arrow lights it; the colours are the variables \`--kd-…\`.
`;

const cell = (text: string): string => text.replace(/\|/g, '\\|');

function statesOf(chart: Chart): ChartState[] {
  const all: ChartState[] = [];
  const visit = (state: ChartState): void => {
    if (state !== chart.root) all.push(state);
    state.states.forEach(visit);
  };
  visit(chart.root);
  return all;
}

/** Every event that a machine meets: that of an arrow, of a line in a box, or ignored. */
export function eventsOf(chart: Chart): Map<string, { step: Step; ignoredIn: string[]; isMet: boolean }> {
  const events = new Map<string, { step: Step; ignoredIn: string[]; isMet: boolean }>();
  const note = (step: Step, ignoredIn: string | null): void => {
    const known = events.get(step.text) ?? { step, ignoredIn: [], isMet: false };
    if (ignoredIn === null) known.isMet = true;
    else if (!known.ignoredIn.includes(ignoredIn)) known.ignoredIn.push(ignoredIn);
    events.set(step.text, known);
  };
  for (const state of [chart.root, ...statesOf(chart)]) {
    for (const step of [...state.again, ...state.inner]) note(step, null);
    for (const step of state.ignored) note(step, state.id.slice(chart.id.length + 1) || chart.id);
  }
  for (const { steps } of chart.edges) for (const step of steps) note(step, null);
  return events;
}

function sectionOf(name: string, chart: Chart): string {
  const events = [...eventsOf(chart)].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = [
    `## ${name}`,
    '',
    `${chart.description} [Definition](../src/machines/${name}.ts), [Mermaid](${name}.mmd).`,
    '',
    `![The states of the ${name} machine](${name}.svg)`,
    '',
    '| state | what it is |',
    '|---|---|',
    ...statesOf(chart).map(
      ({ id, description }) => `| \`${id.slice(chart.id.length + 1)}\` | ${cell(description)} |`,
    ),
    '',
    '| event | what it means |',
    '|---|---|',
    ...events.map(
      ([text, { step, isMet }]) =>
        `| ${step.event in EVENT_TEXTS ? `\`${text}\`` : text} | ${cell(eventMeaning(step))}${isMet ? '' : ' *Ignored on purpose.*'} |`,
    ),
    '',
  ];
  return lines.join('\n');
}

export interface OtherPicture {
  name: string;
  title: string;
  description: string;
}

export function readmeOf(charts: ReadonlyMap<string, Chart>, others: readonly OtherPicture[]): string {
  const contents = [...charts.keys()].map((name) => `[${name}](#${name})`).join(' · ');
  return [
    INTRODUCTION,
    ...others.map(
      ({ name, title, description }) =>
        `## ${title}\n\n${description} [Mermaid](${name}.mmd).\n\n![${title}](${name}.svg)\n`,
    ),
    `# The machines\n\n${contents}\n`,
    ...[...charts].map(([name, chart]) => sectionOf(name, chart)),
  ].join('\n');
}
