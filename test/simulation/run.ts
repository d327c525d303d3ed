/** `npm run simulate -- [--runs N] [--seed S] [--trace]`: many seeds from S on; with one run the trace is printed. */
import { parseArgs } from 'node:util';
import { simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const first = Number(values.seed);
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(first)) {
  console.error('usage: npm run simulate -- [--runs N] [--seed S] [--trace]');
  process.exit(2);
}
let steps = 0;
const ends: Record<string, number> = {};
const exits: Record<string, number> = {};
for (let seed = first; seed < first + runs; seed++) {
  const outcome = simulate(seed);
  steps += outcome.steps;
  for (const [type, count] of Object.entries(outcome.ends)) ends[type] = (ends[type] ?? 0) + count;
  exits[String(outcome.exitCode)] = (exits[String(outcome.exitCode)] ?? 0) + 1;
  if (values.trace) console.log(outcome.trace.join('\n'));
  if (outcome.violations.length === 0) continue;
  console.error(`seed ${seed} fails:\n  ${outcome.violations.join('\n  ')}`);
  console.error(`replay it with: npm run simulate -- --seed ${seed} --runs 1 --trace`);
  process.exit(1);
}
console.log(
  `${runs} seeds from ${first} are sound: ${steps} steps, orders ${JSON.stringify(ends)}, exits ${JSON.stringify(exits)}`,
);
