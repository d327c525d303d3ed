/**
 * Copies of values that anybody may be shown: plain JSON, bounded in depth, length and size, without what is named like a
 * secret. Pure; runs in the process that the values belong to, and once more in the arbiter, which trusts no other.
 */
import { isSecretName } from '../redaction.ts';
import type { Plain } from './records.ts';

const DEPTH_MAX = 5;
const ENTRIES_MAX = 50;
const TEXT_LENGTH_MAX = 500;
/** In the process that it belongs to a text is cut later: what is cut cannot be recognised as a secret any more. */
const RAW_TEXT_LENGTH_MAX = 4 * TEXT_LENGTH_MAX;
const HIDDEN = '***';
/** Of each event, and of each context, in characters of JSON, nearly. */
export const EVENT_LENGTH_MAX = 4 * 1024;
export const CONTEXT_LENGTH_MAX = 16 * 1024;
export const DEFINITION_LENGTH_MAX = 32 * 1024;

/** Whose values are secrets as a whole, whatever is in them. */
const HIDDEN_NAMES = new Set(['env', 'environment', 'settings', 'headers', 'rawheaders', 'cookies']);

/** Names come again and again; those that are remembered are bounded in number and length. */
const REMEMBERED_MAX = 1000;
const REMEMBERED_LENGTH_MAX = 64;
const remembered = new Map<string, boolean>();

function isHiddenName(name: string): boolean {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const isHidden = HIDDEN_NAMES.has(name.toLowerCase()) || isSecretName(name);
  if (remembered.size < REMEMBERED_MAX && name.length <= REMEMBERED_LENGTH_MAX)
    remembered.set(name, isHidden);
  return isHidden;
}

/** What is done to each text, be it a value or a key. */
export type TextFilter = (text: string) => string;

class TooLarge extends Error {}

/**
 * Never throws, whatever the value does when it is looked at. Without a filter it is not yet what anybody is shown: texts are
 * longer then, and so may the whole be.
 */
export function plain(value: unknown, lengthMax: number, filter?: TextFilter, depthMax = DEPTH_MAX): Plain {
  // As most states are.
  if (!filter && typeof value === 'string' && value.length <= RAW_TEXT_LENGTH_MAX) return value;
  const copy = new Copy(filter ? lengthMax : 2 * lengthMax, filter);
  try {
    return copy.of(value, depthMax) ?? null;
  } catch (error) {
    return error instanceof TooLarge ? '[too large]' : '[not readable]';
  }
}

class Copy {
  #left: number;
  readonly #filter: TextFilter | undefined;

  constructor(lengthMax: number, filter: TextFilter | undefined) {
    this.#left = lengthMax;
    this.#filter = filter;
  }

  /** Undefined for what JSON leaves out. */
  of(value: unknown, depth: number): Plain | undefined {
    this.#spend(4);
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return Number.isFinite(value) ? value : `[${value}]`;
      case 'boolean':
        return value;
      case 'undefined':
        return undefined;
      case 'bigint':
        return `${String(value).slice(0, TEXT_LENGTH_MAX)}n`;
      case 'object':
        return value === null ? null : this.#object(value, depth);
      default:
        return `[${typeof value}]`;
    }
  }

  #spend(length: number): void {
    this.#left -= length;
    if (this.#left < 0) throw new TooLarge();
  }

  #text(text: string): string {
    const raw = text.length > RAW_TEXT_LENGTH_MAX ? text.slice(0, RAW_TEXT_LENGTH_MAX) : text;
    if (!this.#filter) {
      this.#spend(raw.length);
      return raw;
    }
    // Redacted before it is cut, lest a part of a secret be left over.
    const shown = this.#filter(raw);
    const cut = shown.length > TEXT_LENGTH_MAX ? `${shown.slice(0, TEXT_LENGTH_MAX)}…` : shown;
    this.#spend(cut.length);
    return cut;
  }

  #object(value: object, depth: number): Plain {
    if (Array.isArray(value)) return depth > 0 ? this.#array(value, depth) : `[${value.length} entries]`;
    if (value instanceof Error) return this.#error(value, depth);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? '[Date]' : value.toISOString();
    const proto = Object.getPrototypeOf(value);
    if (proto !== null && proto !== Object.prototype) return this.#instance(value);
    return depth > 0 ? this.#entries(value as Record<string, unknown>, depth) : '[object]';
  }

  #array(values: unknown[], depth: number): Plain {
    const shown = values.slice(0, ENTRIES_MAX).map((one) => this.of(one, depth - 1) ?? null);
    return values.length > ENTRIES_MAX ? [...shown, `[${values.length - ENTRIES_MAX} more]`] : shown;
  }

  #entries(value: Record<string, unknown>, depth: number): Plain {
    const shown: Record<string, Plain> = {};
    const keys = Object.keys(value);
    const count = Math.min(keys.length, ENTRIES_MAX);
    for (let index = 0; index < count; index++) {
      const key = keys[index]!;
      const name = this.#text(key);
      if (name === '__proto__') continue;
      const inner = value[key];
      const isHidden = inner !== null && inner !== undefined && inner !== '' && isHiddenName(key);
      const copy = isHidden ? HIDDEN : this.of(inner, depth - 1);
      if (copy !== undefined) shown[name] = copy;
    }
    if (keys.length > ENTRIES_MAX) shown['…'] = `[${keys.length - ENTRIES_MAX} more]`;
    return shown;
  }

  #error(error: Error, depth: number): Plain {
    const { code } = error as { code?: unknown };
    return {
      name: this.#text(String(error.name)),
      message: this.#text(String(error.message)),
      ...(code === undefined ? {} : { code: this.of(code, depth - 1) ?? null }),
    };
  }

  /** What is of a class says which one; actors say which they are. */
  #instance(value: object): Plain {
    const { sessionId, id } = value as { sessionId?: unknown; id?: unknown };
    if (typeof sessionId === 'string' && typeof id === 'string') return `[actor ${this.#text(id)}]`;
    const name = value.constructor?.name;
    return `[${typeof name === 'string' ? this.#text(name) : 'object'}]`;
  }
}
