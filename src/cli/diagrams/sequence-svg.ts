/** A placed sequence as a picture. Development only. */
import { EVENT_TEXTS } from '../../machines/events/texts.ts';
import type { Step, Story } from './recording/story.ts';
import {
  type Frame,
  frameTitle,
  HEAD_HEIGHT,
  headWidth,
  LINE_HEIGHT,
  type Life,
  messageLines,
  PILL_HEIGHT,
  pillWidth,
  SELF_WIDTH,
  sequenceLayout,
  stateLines,
} from './sequence-layout.ts';
import { escapeXml, headPath, svg } from './svg.ts';

export function sequenceSvg(name: string, title: string, description: string, story: Story): string {
  const { width, height, frames, lives, steps } = sequenceLayout(story);
  const columnOf = new Map(lives.map((life) => [life.name, life.x]));
  return svg({ name, title, description, width, height }, [
    ...frames.flatMap(frameOf),
    ...lives.flatMap(lifeOf),
    ...steps.flatMap(({ step, y }) => stepOf(step, y, columnOf)),
  ]);
}

const frameOf = ({ process, x, y, width, height }: Frame): string[] => [
  `<rect class="box frame" x="${x}" y="${y}" width="${width}" height="${height}" rx="7"/>`,
  `<text class="faint" x="${x + 8}" y="${y + 16}">${escapeXml(frameTitle(process))}</text>`,
];

function lifeOf({ name, x, y, to, hasEnded }: Life): string[] {
  const width = headWidth(name);
  return [
    `<path class="life" d="M${x} ${y + HEAD_HEIGHT}V${to}"/>`,
    ...(hasEnded ? [`<path class="cross" d="M${x - 4} ${to - 4}l8 8m0 -8l-8 8"/>`] : []),
    `<rect class="box" x="${x - width / 2}" y="${y}" width="${width}" height="${HEAD_HEIGHT}" rx="5"/>`,
    `<text class="bold" x="${x}" y="${y + 15}" text-anchor="middle">${escapeXml(name)}</text>`,
  ];
}

function stepOf(step: Step, y: number, columnOf: ReadonlyMap<string, number>): string[] {
  if (step.kind === 'end') return [];
  if (step.kind === 'state') return stateOf(step, y, columnOf.get(step.of)!);
  if (step.kind === 'message') return messageOf(step, y, columnOf.get(step.from)!, columnOf.get(step.to)!);
  const [from, of] = [columnOf.get(step.from)!, columnOf.get(step.of)!];
  const half = headWidth(step.of) / 2;
  const to = of > from ? of - half : of + half;
  return [
    '<g class="told starts">',
    `<title>${escapeXml(`${step.from} starts ${step.of}`)}</title>`,
    `<path class="line dashed" d="M${from} ${y}H${to}"/>`,
    `<path class="head" d="${headPath([
      { x: from, y },
      { x: to, y },
    ])}"/>`,
    '</g>',
  ];
}

function stateOf(step: Step & { kind: 'state' }, y: number, x: number): string[] {
  const { above, text } = stateLines(step);
  const width = pillWidth(step);
  const more = above === null ? 0 : LINE_HEIGHT;
  return [
    `<g class="now" data-of="${step.of}" data-state="${escapeXml(step.path)}">`,
    `<title>${escapeXml(`${step.of} is ${step.path}`)}</title>`,
    `<rect class="pill" x="${x - width / 2}" y="${y - PILL_HEIGHT + 3 - more}" width="${width}" height="${PILL_HEIGHT + more}" rx="8"/>`,
    ...(above === null
      ? []
      : [
          `<text class="faint" x="${x}" y="${y - 1 - LINE_HEIGHT}" text-anchor="middle">${escapeXml(above)}</text>`,
        ]),
    `<text x="${x}" y="${y - 1}" text-anchor="middle">${escapeXml(text)}</text>`,
    '</g>',
  ];
}

function messageOf(step: Step & { kind: 'message' }, y: number, from: number, to: number): string[] {
  const [, event = ''] = /([a-zA-Z]+\.[a-zA-Z]+)/.exec(step.text) ?? [];
  const meaning = (EVENT_TEXTS as Record<string, string>)[event];
  const isSelf = from === to;
  const points = isSelf
    ? [
        { x: from + SELF_WIDTH, y: y + 4 },
        { x: from, y: y + 4 },
      ]
    : [
        { x: from, y },
        { x: to, y },
      ];
  const line = isSelf ? `M${from} ${y - 8}h${SELF_WIDTH}v12H${from}` : `M${from} ${y}H${to}`;
  const texts = isSelf
    ? [`<text class="over" x="${from + SELF_WIDTH + 4}" y="${y}">${escapeXml(step.text)}</text>`]
    : messageLines(step.text, Math.abs(from - to)).map(
        (text, index, all) =>
          `<text class="over" x="${(from + to) / 2}" y="${y - 4 - (all.length - 1 - index) * LINE_HEIGHT}" text-anchor="middle">${escapeXml(text)}</text>`,
      );
  return [
    `<g class="told ${step.way}" data-from="${step.from}" data-to="${step.to}" data-event="${escapeXml(event)}">`,
    ...(meaning ? [`<title>${escapeXml(meaning)}</title>`] : []),
    ...texts,
    `<path class="line" d="${line}"/>`,
    `<path class="head" d="${headPath(points)}"/>`,
    '</g>',
  ];
}
