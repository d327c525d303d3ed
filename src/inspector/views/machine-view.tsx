/** The chosen actor: its picture, its state, its context and what happened to it last. Runs in the browser. */
import type { Told, ToldActor } from '../../actors/inspect/records.ts';
import { type Fate, slotOf, successorOf } from '../model/fates.ts';
import { concerns } from '../model/sift.ts';
import { activeIds, eventTitle, eventType, SIGNS, stateText, toneOf } from '../model/states.ts';
import type { Store } from '../store.ts';
import type { Props } from './app.tsx';
import { Diagram } from './diagram.tsx';
import { Outline } from './outline.tsx';
import { Value } from './value.tsx';
import { clock } from './words.ts';

/** How far back the last events of an actor are looked for, in records. */
const REACH = 8000;
const LAST_EVENTS = 30;

function Happening({
  record,
  position,
  actor,
  store,
}: {
  record: Told;
  position: number;
  actor: ToldActor;
  store: Store;
}) {
  const { timeline } = store.session;
  const { cast } = timeline;
  if (record.t === 'step')
    return (
      <>
        <span class="verb">step</span> {eventTitle(eventType(record.event))}
        <span class="faint">
          {record.took.length === 0
            ? ' ignored'
            : ` → ${stateText(record.value, actor.user) || record.status}`}
        </span>
      </>
    );
  if (record.t !== 'event') return <span class="faint">{record.t}</span>;
  const told = record.to === actor.id;
  const ends = timeline.endsOf(position) ?? record;
  const other = told ? ends.from : ends.to;
  return (
    <>
      <span class="verb">{told ? 'told' : 'says'}</span> {eventTitle(eventType(record.event))}
      {other !== null && other !== actor.id && (
        <span class="faint">
          {told ? ' by ' : ' to '}
          {ends !== record && cast.role(other).pid !== actor.pid
            ? `${cast.role(other).process} / ${cast.role(other).name}`
            : cast.role(other).name}
        </span>
      )}
    </>
  );
}

function Picture({ actor, until, store }: { actor: ToldActor; until: number; store: Store }) {
  if (actor.machine === null)
    return <p class="empty">A plain actor: it has no states. What it was told and says is beside this.</p>;
  const active = activeIds(actor.machine, actor.value);
  const { timeline } = store.session;
  const isStep = (record: Told) => record.t === 'step' && record.id === actor.id && record.took.length > 0;
  const [last] = timeline.before(until, isStep, { count: 1, reach: REACH });
  const took = last?.record.t === 'step' ? last.record.took : [];
  const flash = last?.position ?? -1;
  if (actor.user)
    return (
      <Outline
        machine={actor.machine}
        definition={actor.definition ?? null}
        active={active}
        took={took}
        flash={flash}
      />
    );
  return (
    <Diagram
      machine={actor.machine}
      focus={actor.id}
      active={active}
      took={took}
      flash={flash}
      zoom={store.zooms.machine}
      onZoom={store.zoomMachine}
    />
  );
}

/** Of an actor that has ended: when and how, the way back to it, and on to who is there now. */
function Ended({ fate, store }: { fate: Fate; store: Store }) {
  const slot = slotOf(fate);
  const next = successorOf(fate, store.board.state);
  return (
    <div class={`ended-line tone-${fate.bad ? 'failed' : 'ended'}`} role="status">
      <p>
        <span aria-hidden="true">{SIGNS[fate.bad ? 'failed' : 'ended']}</span> ended {clock(fate.at)}{' '}
        {fate.how}
      </p>
      <button type="button" class="button" onClick={() => store.chooseMoment(fate.position)}>
        Show its last moment
      </button>
      {next && (
        <button type="button" class="button" onClick={() => store.choose(next.id)}>
          Show who took slot {slot}
        </button>
      )}
    </div>
  );
}

export function MachineView({ store }: Props) {
  if (store.actor === null) return <p class="empty">Choose an actor in the tree.</p>;
  const alive = store.board.actor(store.actor);
  const known = store.session.timeline.fates.of(store.actor);
  const fate = !alive && known && known.position < store.position ? known : undefined;
  const actor = alive ?? fate?.actor;
  if (!actor) return <p class="empty">At this moment this actor does not exist.</p>;
  const { timeline } = store.session;
  const role = timeline.cast.role(actor.id);
  const tone = fate ? (fate.bad ? 'failed' : 'ended') : toneOf(actor);
  const process = fate?.process ?? store.board.process(actor.pid);
  const until = fate ? Math.min(store.position, fate.position + 1) : store.position;
  const last = timeline.before(until, (record) => record.t !== 'actor' && concerns(record, actor.id), {
    count: LAST_EVENTS,
    reach: REACH,
  });
  return (
    <div class={`machine ${fate ? 'has-ended' : ''}`}>
      <header class="machine-head">
        <h2 id="machine-title">
          {role.process} <span class="faint">/</span> {actor.name}
        </h2>
        <span class={`badge tone-${tone}`} id="machine-state">
          <span aria-hidden="true">{SIGNS[tone]}</span>{' '}
          {actor.machine === null ? actor.status : stateText(actor.value, actor.user) || actor.status}
        </span>
        <dl class="facts">
          <dt>pid</dt>
          <dd>{actor.about?.pid || actor.pid}</dd>
          {(actor.about?.age ?? process?.age) != null && [
            <dt key="t">age</dt>,
            <dd key="d">{actor.about?.age ?? process?.age}</dd>,
          ]}
          {(actor.about?.slot ?? process?.slot) != null && [
            <dt key="t">slot</dt>,
            <dd key="d">{actor.about?.slot ?? process?.slot}</dd>,
          ]}
          {(actor.about?.generation ?? process?.generation) != null && [
            <dt key="t">generation</dt>,
            <dd key="d">{actor.about?.generation ?? process?.generation}</dd>,
          ]}
        </dl>
        {fate && <Ended fate={fate} store={store} />}
      </header>
      <section class="machine-picture" aria-label="States">
        <Picture actor={actor} until={until} store={store} />
      </section>
      <section class="machine-side">
        <h3>Last events</h3>
        {last.length === 0 && <p class="empty">Nothing yet.</p>}
        <ol class="last">
          {last.map(({ position, record }) => (
            <li key={position}>
              <button
                type="button"
                class={position === store.record ? 'chosen' : ''}
                onClick={() => store.chooseRecord(position)}
              >
                <time>{clock(record.at)}</time>{' '}
                <Happening record={record} position={position} actor={actor} store={store} />
              </button>
            </li>
          ))}
        </ol>
        <h3>Context</h3>
        {actor.context === null ? (
          <p class="empty">It has none.</p>
        ) : (
          <Value key={actor.id} name="context" value={actor.context} open />
        )}
      </section>
    </div>
  );
}
