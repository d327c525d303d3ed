/** An event or a step on the lifelines. Runs in the browser. */
import type { Drawn } from '../model/tell.ts';

export function Arrow({ record, ends, y, lanes }: Drawn & { y: number; lanes: Map<string, number> }) {
  if (record.t === 'step') return <circle class="mark" cx={lanes.get(record.id)} cy={y} r="4" />;
  if (!ends) return null;
  const to = lanes.get(ends.to)!;
  const from = ends.from === null ? to - 14 : lanes.get(ends.from)!;
  if (from === to)
    return (
      <g class="arrow loop">
        <path d={`M${to} ${y - 6}h7a5 5 0 0 1 0 10h-2`} />
        <path class="tip" d={`M${to + 1} ${y + 4}l6 -3.5v7z`} />
      </g>
    );
  const way = Math.sign(to - from);
  const tip = to - way * 2;
  const kind = ends.from === null ? 'outside' : ends.tookMs === undefined ? '' : 'across';
  return (
    <g class={`arrow ${kind}`}>
      <path d={`M${from} ${y}H${tip}`} />
      <path class="tip" d={`M${tip} ${y}l${-way * 6} -3.5v7z`} />
    </g>
  );
}
