/** A placed chart as SVG. Development only. */
import { type Chart, eventMeaning, type Step, stepText } from './chart.ts';
import type { Line } from './chart-lines.ts';
import {
  DOT_SIZE,
  LINE_HEIGHT,
  PADDING,
  type PlacedChart,
  type PlacedEdge,
  type PlacedState,
  TITLE_HEIGHT,
} from './layout.ts';
import { escapeXml, headPath, linePath, svg } from './svg.ts';

const spansOf = ({ spans }: Line): string => {
  // Neighbours of one style are one piece.
  const merged: { text: string; style: string }[] = [];
  for (const { text, style } of spans) {
    const last = merged.at(-1);
    if (last?.style === style) last.text += text;
    else merged.push({ text, style });
  }
  return merged
    .map(({ text, style }) =>
      style === 'faint' ? `<tspan class="faint">${escapeXml(text)}</tspan>` : escapeXml(text),
    )
    .join('');
};

const eventsOf = (steps: readonly Step[]): string => [...new Set(steps.map(({ event }) => event))].join(' ');

function stateOf(placed: PlacedState): string[] {
  const { state, x, y, width, height, lines } = placed;
  const classes = [
    'state',
    state.kind,
    ...(state.states.length > 0 ? ['outer'] : []),
    ...(placed.isRegion ? ['region'] : []),
  ];
  const isFinal = state.kind === 'final';
  let baseline = y + TITLE_HEIGHT + LINE_HEIGHT + 3;
  const texts = lines.map((line) => {
    const events =
      line.steps.length > 0 ? ` data-source="${state.id}" data-event="${eventsOf(line.steps)}"` : '';
    const text = `<text${events} x="${x + PADDING}" y="${baseline}">${spansOf(line)}</text>`;
    baseline += LINE_HEIGHT;
    return text;
  });
  return [
    `<g class="${classes.join(' ')}" data-state="${state.id}">`,
    `<title>${escapeXml(state.description)}</title>`,
    `<rect class="box" x="${x}" y="${y}" width="${width}" height="${height}" rx="7"/>`,
    ...(isFinal
      ? [`<rect class="ring" x="${x + 3}" y="${y + 3}" width="${width - 6}" height="${height - 6}" rx="5"/>`]
      : []),
    `<text class="title" x="${isFinal ? x + width / 2 : x + PADDING}" y="${y + 18}"${isFinal ? ' text-anchor="middle"' : ''}>${escapeXml(state.key)}</text>`,
    ...(lines.length > 0
      ? [`<path class="rule" d="M${x + PADDING} ${y + TITLE_HEIGHT + 5}h${width - 2 * PADDING}"/>`]
      : []),
    ...texts,
    '</g>',
  ];
}

const lineAndHead = (points: PlacedEdge['points']): string[] => [
  `<path class="line" d="${linePath(points)}"/>`,
  `<path class="head" d="${headPath(points)}"/>`,
];

const parentOf = (id: string): string => id.slice(0, id.lastIndexOf('.'));

function edgeOf({ edge, points, label }: PlacedEdge, { isFrameless }: Chart): string[] {
  const title = edge.title ?? edge.steps.map((step) => `${stepText(step)}: ${eventMeaning(step)}`).join('\n');
  const classes = [
    'edge',
    ...(edge.isBeside ? ['beside'] : []),
    // Its label lies on the paper, not in a box.
    ...(isFrameless && !parentOf(edge.target).includes('.') ? ['bare'] : []),
  ];
  return [
    `<g class="${classes.join(' ')}" data-source="${edge.source}" data-event="${eventsOf(edge.steps)}" data-target="${edge.target}">`,
    `<title>${escapeXml(title)}</title>`,
    ...lineAndHead(points),
    ...(label
      ? [
          `<rect class="back" x="${label.x}" y="${label.y}" width="${label.width}" height="${label.height}" rx="3"/>`,
          ...label.lines.map(
            (line, index) =>
              `<text data-event="${eventsOf(line.steps)}" x="${label.x + label.width / 2}" y="${label.y + LINE_HEIGHT * index + 11}" text-anchor="middle">${spansOf(line)}</text>`,
          ),
        ]
      : []),
    '</g>',
  ];
}

export function chartSvg(
  name: string,
  placed: PlacedChart,
  title = `The ${placed.chart.id} machine`,
): string {
  const { chart, states, edges, initials, anys, width, height } = placed;
  return svg({ name, title, description: chart.description, width, height }, [
    ...states.filter(({ state }) => !(chart.isFrameless && state === chart.root)).flatMap(stateOf),
    ...initials.flatMap(({ x, y, points }) => [
      '<g class="initial">',
      `<circle class="dot" cx="${x}" cy="${y}" r="${DOT_SIZE / 2}"/>`,
      ...lineAndHead(points),
      '</g>',
    ]),
    ...anys.flatMap(({ x, y, width: w, height: h, of }) => [
      `<g class="any"><title>${escapeXml(`In any state within ${of}`)}</title>`,
      `<rect class="box" x="${x}" y="${y}" width="${w}" height="${h}" rx="${h / 2}"/>`,
      `<text class="faint" x="${x + w / 2}" y="${y + 13}" text-anchor="middle">any</text>`,
      '</g>',
    ]),
    ...edges.flatMap((edge) => edgeOf(edge, chart)),
  ]);
}
