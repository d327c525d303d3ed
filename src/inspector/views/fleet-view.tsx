/** Every worker at once: the child machine's picture with how many are in each state. Runs in the browser. */
import { useState } from 'preact/hooks';
import type { ToldActor } from '../../actors/inspect/records.ts';
import { leafPaths, SIGNS, stateText, toneOf } from '../model/states.ts';
import { fleetOf } from '../model/tree.ts';
import type { Store } from '../store.ts';
import type { Props } from './app.tsx';
import { Diagram } from './diagram.tsx';

function States({ fleet, store }: { fleet: readonly ToldActor[]; store: Store }) {
  const byState = new Map<string, ToldActor[]>();
  for (const actor of fleet) {
    const text = stateText(actor.value) || actor.status;
    const some = byState.get(text);
    if (some) some.push(actor);
    else byState.set(text, [actor]);
  }
  return (
    <ul class="fleet-states">
      {[...byState].map(([text, actors]) => {
        const tone = toneOf(actors[0]!);
        return (
          <li key={text}>
            <p class={`tone-${tone}`}>
              <span class="sign" aria-hidden="true">
                {SIGNS[tone]}
              </span>{' '}
              {text} <b class="number">{actors.length}</b>
            </p>
            <p class="members">
              {actors.map(({ id, about }) => (
                <button
                  key={id}
                  type="button"
                  class={`member tone-${tone} ${id === store.actor ? 'chosen' : ''}`}
                  aria-label={`${about?.title ?? 'child'} ${about?.age ?? id}, ${text}`}
                  onClick={() => store.choose(id, 'machine')}
                >
                  {about?.age ?? '?'}
                </button>
              ))}
            </p>
          </li>
        );
      })}
    </ul>
  );
}

export function FleetView({ store }: Props) {
  const fleets = fleetOf(store.board.state.actors);
  const [wanted, want] = useState('worker');
  const titles = [...fleets.keys()].sort((a, b) => Number(b === 'worker') - Number(a === 'worker'));
  const title = fleets.has(wanted) ? wanted : titles[0];
  if (title === undefined) return <p class="empty">There are no workers at this moment.</p>;
  const fleet = fleets.get(title)!;
  const counts = new Map<string, number>();
  for (const { value } of fleet)
    for (const path of leafPaths(value)) counts.set(`child.${path}`, (counts.get(`child.${path}`) ?? 0) + 1);
  return (
    <div class="fleet">
      <div class="seq-tools" role="toolbar" aria-label="Which processes">
        {titles.map((one) => (
          <button
            key={one}
            type="button"
            class="toggle"
            aria-pressed={one === title}
            onClick={() => want(one)}
          >
            {one}s {fleets.get(one)!.length}
          </button>
        ))}
      </div>
      <div class="fleet-parts">
        <section class="machine-picture" aria-label="How many are in each state">
          <Diagram
            machine="child"
            active={new Set(counts.keys())}
            counts={counts}
            zoom={store.zooms.fleet}
            onZoom={store.zoomFleet}
          />
        </section>
        <section class="machine-side">
          <States fleet={fleet} store={store} />
        </section>
      </div>
    </div>
  );
}
