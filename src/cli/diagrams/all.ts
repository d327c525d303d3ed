/** Everything in diagrams/, made in memory. Development only. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Chart, chartOf } from './chart.ts';
import { chartSvg } from './chart-svg.ts';
import { layoutOf } from './layout.ts';
import { MACHINES } from './machines.ts';
import { mermaidOf } from './mermaid.ts';
import { processTree, processTreeMermaid } from './process-tree.ts';
import { type OtherPicture, readmeOf } from './readme.ts';
import { record } from './recording/run.ts';
import { SCENES } from './recording/scenes.ts';
import type { Story } from './recording/story.ts';
import { sequenceMermaid } from './sequence-mermaid.ts';
import { sequenceSvg } from './sequence-svg.ts';

const RECORDINGS = fileURLToPath(new URL('../../../diagrams/recordings/', import.meta.url));
const recordingFile = (name: string): string => `${RECORDINGS}${name}.json`;

export const storedStory = (name: string): Story => JSON.parse(readFileSync(recordingFile(name), 'utf8'));

/** Runs real servers, and keeps what they told for the pictures. */
export async function recordAll(): Promise<void> {
  mkdirSync(RECORDINGS, { recursive: true });
  for (const [name, scene] of Object.entries(SCENES))
    writeFileSync(recordingFile(name), `${storyText(await record(scene))}\n`);
}

/** One step a line, so that a change can be read. */
const storyText = ({ participants, steps }: Story): string => {
  const list = (items: readonly unknown[]): string =>
    items.map((item) => `    ${JSON.stringify(item)}`).join(',\n');
  return `{\n  "participants": [\n${list(participants)}\n  ],\n  "steps": [\n${list(steps)}\n  ]\n}`;
};

const TREE_TITLE = 'The processes';
const TREE_TEXT =
  'The processes with machines, the machines in each of them, and what passes over the links between processes: orders go down (↓), reports up (↑). What runs as long as its owner is named after `runs`, what comes and goes is spawned. Dashed arrows are what comes over other sockets. Processes that only evaluate a configuration file or its hooks are left out.';

/** The texts of all files by their names. */
export async function allDiagrams(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const charts = new Map<string, Chart>();
  for (const [name, machine] of Object.entries(MACHINES)) {
    const chart = chartOf(machine);
    charts.set(name, chart);
    files.set(`${name}.svg`, chartSvg(name, await layoutOf(chart)));
    files.set(`${name}.mmd`, mermaidOf(chart));
  }
  const tree = processTree();
  files.set('process-tree.svg', chartSvg('process-tree', await layoutOf(tree), TREE_TITLE));
  files.set('process-tree.mmd', processTreeMermaid(tree));
  const sequences: OtherPicture[] = [];
  for (const [name, { title, description }] of Object.entries(SCENES)) {
    const story = storedStory(name);
    files.set(`${name}.svg`, sequenceSvg(name, title, description, story));
    files.set(`${name}.mmd`, sequenceMermaid(story));
    sequences.push({ name, title, description });
  }
  files.set(
    'README.md',
    readmeOf(charts, { name: 'process-tree', title: TREE_TITLE, description: TREE_TEXT }, sequences),
  );
  return files;
}
