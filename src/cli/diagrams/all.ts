/** Everything in diagrams/, made in memory. Development only. */
import { type Chart, chartOf } from './chart.ts';
import { chartSvg } from './chart-svg.ts';
import { layoutOf } from './layout.ts';
import { MACHINES } from './machines.ts';
import { mermaidOf } from './mermaid.ts';
import { readmeOf } from './readme.ts';

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
  files.set('README.md', readmeOf(charts, []));
  return files;
}
