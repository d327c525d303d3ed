/** What became of an order, from its answer: that it was answered does not say that it was done. Pure; runs in the browser. */
import type { Answer } from './session.ts';

export interface Outcome {
  done: boolean;
  /** Why not, or what there is to say of it. */
  text: string;
}

/** How an order ends that was not done; docs/control.md has them. */
const NOT_DONE = new Set<unknown>(['refused', 'failed', 'superseded', 'error']);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const firstText = (...values: unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === 'string' && value !== '');

export function outcomeOf({ ok, data, error }: Answer): Outcome {
  if (!ok) return { done: false, text: error || 'failed' };
  const { success, status, ...told } = isObject(data) ? data : {};
  if (success === false || NOT_DONE.has(status))
    return { done: false, text: firstText(told['error'], told['reason'], status) ?? 'failed' };
  return { done: true, text: firstText(told['message'], told['reason'], told['text']) ?? 'done' };
}
