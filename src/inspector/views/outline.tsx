/** A user's machine, which has no picture: its states as nested boxes, from its definition. Runs in the browser. */
import type { Plain } from '../../actors/inspect/records.ts';

interface Node {
  type?: string;
  initial?: string;
  states?: Record<string, Node>;
  on?: Record<string, unknown>;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function Box({
  id,
  title,
  node,
  active,
}: {
  id: string;
  title: string;
  node: Node;
  active: ReadonlySet<string>;
}) {
  const inner = isNode(node.states) ? Object.entries(node.states) : [];
  const events = isNode(node.on) ? Object.keys(node.on) : [];
  return (
    <div
      class={`box ${active.has(id) ? 'lit' : ''} ${node.type === 'parallel' ? 'parallel' : ''}`}
      data-state={id}
    >
      <p class="box-title">
        {active.has(id) && <span aria-hidden="true">● </span>}
        {title}
        {node.type === 'final' && <small> final</small>}
        {active.has(id) && <span class="unseen"> (active)</span>}
      </p>
      {events.length > 0 && <p class="box-events">{events.join(', ')}</p>}
      {inner.length > 0 && (
        <div class="box-inner">
          {inner.map(([key, one]) =>
            isNode(one) ? <Box key={key} id={`${id}.${key}`} title={key} node={one} active={active} /> : null,
          )}
        </div>
      )}
    </div>
  );
}

export function Outline({
  machine,
  definition,
  active,
}: {
  machine: string;
  definition: Plain;
  active: ReadonlySet<string>;
}) {
  if (!isNode(definition)) return <p class="empty">Nothing is known of this machine but its state.</p>;
  return (
    <div class="outline">
      <Box id={machine} title={machine} node={definition as Node} active={active} />
    </div>
  );
}
