/** Any plain value, collapsible. Runs in the browser. */
import type { Plain } from '../../actors/inspect/records.ts';

const short = (value: Plain): string => {
  if (Array.isArray(value)) return `[${value.length}]`;
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value);
    return `{${keys.slice(0, 4).join(', ')}${keys.length > 4 ? ', …' : ''}}`;
  }
  return JSON.stringify(value) ?? '';
};

export function Value({ name, value, open = false }: { name: string; value: Plain; open?: boolean }) {
  if (typeof value !== 'object' || value === null)
    return (
      <div class="value">
        <span class="key">{name}</span>{' '}
        <span class={`leaf leaf-${value === null ? 'null' : typeof value}`}>{short(value)}</span>
      </div>
    );
  return (
    <details class="value" open={open}>
      <summary>
        <span class="key">{name}</span> <span class="short">{short(value)}</span>
      </summary>
      <div class="inner">
        {Object.entries(value as Record<string, Plain>).map(([key, inner]) => (
          <Value key={key} name={key} value={inner} />
        ))}
      </div>
    </details>
  );
}
