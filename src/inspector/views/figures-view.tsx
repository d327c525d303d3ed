/** Requests, event-loop delay and memory of each process, over the last two minutes. Runs in the browser. */
import type { BeatRecord } from '../../actors/inspect/records.ts';
import { sparkline } from '../model/series.ts';
import type { Props } from './app.tsx';
import { mebibytes, number } from './words.ts';

const SIZE = { width: 150, height: 30 };

const FIGURES: { title: string; of: (beat: BeatRecord) => number; text: (value: number) => string }[] = [
  { title: 'requests/s', of: (beat) => beat.requestsPerSecond, text: number },
  { title: 'loop delay', of: (beat) => beat.loopDelayMs, text: (value) => `${value.toFixed(1)} ms` },
  { title: 'memory', of: (beat) => beat.rssBytes, text: mebibytes },
];

function Spark({ values }: { values: readonly number[] }) {
  const points = sparkline(values, SIZE);
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${SIZE.width} ${SIZE.height}`}
      aria-hidden="true"
      preserveAspectRatio="none"
    >
      <path class="base" d={`M0 ${SIZE.height - 0.5}H${SIZE.width}`} />
      {points && <polyline points={points} />}
    </svg>
  );
}

export function FiguresView({ store }: Props) {
  const { processes } = store.board.state;
  const { series, timeline } = store.session;
  const until = store.cursor === null ? undefined : timeline.timeAt(store.position);
  return (
    <div class="figures">
      <table>
        <thead>
          <tr>
            <th scope="col">process</th>
            {FIGURES.map(({ title }) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
            <th scope="col" class="wide-only">
              connections
            </th>
            <th scope="col" class="wide-only">
              in flight
            </th>
          </tr>
        </thead>
        <tbody>
          {processes.map((process) => {
            const beats = series.of(process.pid, until);
            const last = beats.at(-1);
            return (
              <tr key={process.pid} data-pid={process.pid}>
                <th scope="row">
                  {timeline.cast.process(process.pid)}
                  <small>
                    {process.pid}
                    {process.generation !== null && ` · g${process.generation}`}
                  </small>
                </th>
                {FIGURES.map(({ title, of, text }) => (
                  <td key={title}>
                    <div class="cell">
                      <Spark values={beats.map(of)} />
                      <span class="figure">{last ? text(of(last)) : '–'}</span>
                    </div>
                  </td>
                ))}
                <td class="wide-only figure">{last ? number(last.connections) : '–'}</td>
                <td class="wide-only figure">{last ? number(last.inFlight) : '–'}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {processes.length === 0 && <p class="empty">No process is known at this moment.</p>}
    </div>
  );
}
