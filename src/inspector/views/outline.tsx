/** A user's machine, which has no picture: its states as nested boxes, and where each event leads. Runs in the browser. */
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Plain, Taken } from '../../actors/inspect/records.ts';
import { isTaken, type OutlineNode, outlineOf } from '../model/outline.ts';
import { reveal } from './picture.ts';

interface Shown {
  active: ReadonlySet<string>;
  took: readonly Taken[];
  /** Another number: what was taken flashes anew. */
  flash: number;
}

function Box({ node, shown }: { node: OutlineNode; shown: Shown }) {
  const { active, took, flash } = shown;
  const lit = active.has(node.path);
  return (
    <div class={`box ${node.type} ${lit ? 'lit' : ''}`} data-state={node.id}>
      <p class="box-title">
        {node.isInitial && (
          <span class="initial" title="initial">
            <span aria-hidden="true">●→ </span>
            <span class="unseen">initial </span>
          </span>
        )}
        {node.title}
        {(node.type === 'final' || node.type === 'parallel' || node.type === 'history') && (
          <small> {node.type}</small>
        )}
        {lit && <span class="unseen"> (active)</span>}
      </p>
      {node.runs.length > 0 && <p class="box-runs">runs {node.runs.join(', ')}</p>}
      {node.lines.length > 0 && (
        <ul class="box-lines">
          {node.lines.map((line, index) => {
            const taken = isTaken(line, node, took);
            return (
              <li key={taken ? `${index} ${flash}` : index} class={taken ? 'taken flash' : ''}>
                {line.title}
                {line.guard && <span class="faint"> [{line.guard}]</span>}
                {line.targetText ? ` → ${line.targetText}` : <span class="faint"> stays</span>}
              </li>
            );
          })}
        </ul>
      )}
      {node.children.length > 0 && (
        <div class="box-inner">
          {node.children.map((one) => (
            <Box key={one.path} node={one} shown={shown} />
          ))}
        </div>
      )}
    </div>
  );
}

export function Outline({ machine, definition, ...shown }: { machine: string; definition: Plain } & Shown) {
  const root = useMemo(() => outlineOf(machine, definition), [machine, definition]);
  const place = useRef<HTMLDivElement>(null);
  const lit = [...shown.active].at(-1);
  // What is lit is followed as it moves.
  useEffect(() => {
    const boxes = [...(place.current?.querySelectorAll('.box.lit') ?? [])];
    const inner = boxes.filter((box) => !box.querySelector('.box.lit')).at(-1);
    if (inner && place.current!.clientWidth > 0) reveal(place.current!.parentElement!, inner);
  }, [lit, root]);
  if (!root) return <p class="empty">Nothing is known of this machine but its state.</p>;
  return (
    <div class="outline" ref={place}>
      <Box node={root} shown={shown} />
    </div>
  );
}
