/** diagrams/README.md: every picture, and each state and event in a sentence. Development only. */
import { EVENT_TEXTS } from '../../machines/events/texts.ts';
import { type Chart, type ChartState, eventMeaning, type Step } from './chart.ts';

const INTRODUCTION = `# Diagrams

Kirin is a few processes, and in each of them run state machines. Here is a picture of the processes, pictures of what passes between
them when something happens, and one of every machine.

\`npm run diagrams\` makes them from the machines' own definitions, from [what may pass over each link](../src/machines/events/link.ts)
and from recordings of real servers. Tests fail when they are out of date, so what you see is what runs. Each picture is beside its
text for [Mermaid](https://mermaid.js.org).
`;

const READING = `## The machines

A box is a state, and a box within a box is a state within a state; boxes with dashed borders are active
together. A dot shows where a state begins, a double border where a machine ends. \`runs\` names the actors that live as long
as the state, \`entry\` and \`exit\` what is done on the way in and out. What has an arrow leads to another state; what has none is
done without leaving the state, and \`↻\` begins it anew. \`[…]\` is a condition, \`/\` comes before what is done. \`any\` stands for
whatever state within the box. In a picture that is opened by itself, point at a state or an arrow to read more.

A page that inlines a picture finds each state by \`data-state\` (its full path), and each arrow and each line in a box by
\`data-source\`, \`data-event\` (names as XState has them, separated by spaces; \`always\` where there is none) and \`data-target\`. The
class \`lit\` on a state or an arrow lights it; the colours are the variables \`--kd-…\`.
`;

const SEQUENCES = `## The sequences

Recorded from real servers by \`npm run diagrams -- --record\`; a test repeats each run and compares what is said and where each
machine goes. Time goes down, not to scale. A solid arrow is something said, within a process or between two; a dashed one is a start,
or what the operating system does: a signal, the news of an end. The coloured labels are states: where a machine goes, and in
faint letters why, or within which state. A cross is an end. \`child 1\` is the machine that watches over the process of \`worker 1\`.
Where two processes did something at the same time, the order is that of the one run that was recorded.
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
    `### ${name}`,
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

/** As GitHub makes it of a heading. */
const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replace(/ /g, '-');

const pictureOf = ({ name, title, description }: OtherPicture, heading: string): string =>
  `${heading} ${title}\n\n${description} [Mermaid](${name}.mmd).\n\n![${title}](${name}.svg)\n`;

export function readmeOf(
  charts: ReadonlyMap<string, Chart>,
  tree: OtherPicture,
  sequences: readonly OtherPicture[],
): string {
  const machines = [...charts.keys()].map((name) => `[${name}](#${name})`).join(' · ');
  const others = sequences.map(({ title }) => `[${title}](#${anchorOf(title)})`).join(' · ');
  return [
    INTRODUCTION,
    `- [${tree.title}](#${anchorOf(tree.title)})\n- The sequences: ${others}\n- The machines: ${machines}\n`,
    pictureOf(tree, '##'),
    SEQUENCES,
    ...sequences.map((picture) => pictureOf(picture, '###')),
    READING,
    ...[...charts].map(([name, chart]) => sectionOf(name, chart)),
  ].join('\n');
}
