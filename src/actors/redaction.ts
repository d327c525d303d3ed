/**
 * What must not leave this process: values of `env` and environment files, and whatever is named like a password, a token
 * or a key. Runs in the arbiter. One redactor, of which the inspector's thread has
 * a copy, takes them out of every text that is not Kirin's own where it comes in: what
 * workers say of themselves, what goes wrong in reading settings. So they are in no reply, no line of the log and no event,
 * and Kirin's own words, which scripts rely on, are never touched.
 */
import type { Fault } from '../machines/faults.ts';

export const HIDDEN = '***';

/** Names of settings and variables whose values are secrets. */
const SECRET_NAME =
  /pass(word|wd|phrase)?|pwd|secret|token|jwt|credential|private|bearer|authorization|api_?key|access_?key|(^|_)(key|auth|dsn|cookie|salt|session_?id)($|_)/i;
/** Where a word ends within a name in camel case. */
const WORD_END = /([a-z0-9])([A-Z])/g;
/** Variables that everybody sets and nobody hides. */
const HARMLESS_NAME =
  /^(NODE_ENV|NODE_OPTIONS|PATH|HOME|PWD|OLDPWD|SHELL|USER|LOGNAME|HOST|HOSTNAME|PORT|TZ|LANG|LC_\w+|TERM|TMPDIR|LOG_LEVEL|DEBUG|WEB_CONCURRENCY)$/;
/** Shorter values are found in innocent texts all the time. */
const VALUE_LENGTH_MIN = 6;
/** Values of one generation that are looked for: far above what environments have, and told where it is not. */
export const VALUES_MAX = 2000;
/** The first and last lines of keys in PEM are no secret. */
const PEM_EDGE = /^-----(BEGIN|END) /;
/**
 * What stands before the host of a URL, up to the last `@` of its authority, since a password may hold one. The user's name
 * is shown, unless it is all there is: then it is most likely a token.
 */
const URL_CREDENTIALS =
  /\b([a-z][a-z0-9+.-]{0,20}:\/\/)([^\s"'`<>:@/?#]{0,4000})(:[^\s"'`<>/?#]{0,4000})?@/gi;
/** `name=value`, in addresses, forms and connection strings. */
const PARAMETER = /(^|[?&;,\s"'`({])([A-Za-z_][\w.[\]-]{0,99})=([^&;\s"'`<>#]{1,4000})/g;
/** `"name": "value"`, in JSON, in JSON within JSON, and as Node.js shows objects. */
const FIELDS = [
  /("([\w.-]{1,100})"\s?:\s?")((?:[^"\\]|\\.){1,4000})/g,
  /(\\"([\w.-]{1,100})\\"\s?:\s?\\")([^"\\]{1,4000})/g,
  /(\b([A-Za-z_]\w{0,99}): ['"`])([^'"`\\]{1,4000})/g,
];

export const isSecretName = (name: string): boolean =>
  SECRET_NAME.test(name) || (/[a-z0-9][A-Z]/.test(name) && SECRET_NAME.test(name.replace(WORD_END, '$1_$2')));

type Variables = Readonly<Record<string, string | undefined>>;

/** Tells the redactor of variables, all of whose values are secrets but those that everybody knows. */
export type Learn = (variables: Variables) => void;

export class Redactor {
  readonly #scopes = new Map<number, Set<string>>();
  #pattern: RegExp | undefined;
  #version = 0;

  /** Changes whenever what is secret does. */
  get version(): number {
    return this.#version;
  }

  /**
   * Learns the secrets among the variables of a generation; 0 stands for Kirin's own surroundings. With `all`, every value
   * counts but those everybody knows. Returns how many there was no room for.
   */
  learn(scope: number, variables: Variables, { all }: { all: boolean }): number {
    const values = this.#scopes.get(scope) ?? new Set();
    this.#scopes.set(scope, values);
    let left = 0;
    for (const [name, value] of Object.entries(variables)) {
      if (value === undefined || HARMLESS_NAME.test(name) || !(all || isSecretName(name))) continue;
      for (const part of partsOf(value))
        if (values.size < VALUES_MAX) values.add(part);
        else if (!values.has(part)) left++;
    }
    this.#pattern = undefined;
    this.#version++;
    return left;
  }

  /** All that is looked for, for a redactor in another thread. */
  get values(): string[] {
    return [...new Set([...this.#scopes.values()].flatMap((scope) => [...scope]))];
  }

  /** Takes over what another one looks for, as one scope. */
  adopt(scope: number, values: readonly string[]): void {
    this.#scopes.set(scope, new Set(values));
    this.#pattern = undefined;
    this.#version++;
  }

  /** A generation is gone, and its values are nobody's any more. */
  forget(scope: number): void {
    this.#scopes.delete(scope);
    this.#pattern = undefined;
    this.#version++;
  }

  /** A text without the secrets in it. */
  text(text: string): string {
    const known = text.length < VALUE_LENGTH_MIN ? text : text.replace(this.#known(), HIDDEN);
    const without = known.includes('://') ? known.replace(URL_CREDENTIALS, withoutCredentials) : known;
    const plain = without.includes('=') ? without.replace(PARAMETER, withoutSecret) : without;
    return plain.includes(':') ? FIELDS.reduce(withoutSecretFields, plain) : plain;
  }

  fault(fault: Fault): Fault {
    const { message, stack } = fault;
    const hidden = { ...fault, message: this.text(message) };
    return stack === undefined ? hidden : { ...hidden, stack: this.text(stack) };
  }

  /** What a process says of itself, its words without secrets. */
  report<T extends object>(report: T): T {
    const { fault, text } = report as { fault?: Fault; text?: unknown };
    if (fault) return { ...report, fault: this.fault(fault) };
    return typeof text === 'string' ? { ...report, text: this.text(text) } : report;
  }

  #known(): RegExp {
    if (!this.#pattern) {
      const values = new Set([...this.#scopes.values()].flatMap((scope) => [...scope].flatMap(formsOf)));
      // The longest first, since one value may be part of another. Nothing matches the empty negation.
      const parts = [...values].sort((a, b) => b.length - a.length).map(escaped);
      this.#pattern = new RegExp(parts.length > 0 ? parts.join('|') : '(?!)', 'g');
    }
    return this.#pattern;
  }
}

/** A value as it may be quoted: whole, and by its lines, as a stack or an inspected object shows it. */
function partsOf(value: string): string[] {
  const lines = value.includes('\n') ? value.split('\n').map((line) => line.trim()) : [];
  return [value, ...lines].filter((part) => part.length >= VALUE_LENGTH_MIN && !PEM_EDGE.test(part));
}

/** A value as it may be written elsewhere: in JSON, in an address, in base64. */
function formsOf(value: string): string[] {
  const base64 = Buffer.from(value).toString('base64').replace(/=+$/, '');
  return [
    value,
    JSON.stringify(value).slice(1, -1),
    wellFormed(encodeURIComponent, value),
    base64,
    base64.replaceAll('+', '-').replaceAll('/', '_'),
  ];
}

/** A half of a pair of surrogates cannot be encoded. */
function wellFormed(encode: (value: string) => string, value: string): string {
  try {
    return encode(value);
  } catch {
    return value;
  }
}

const withoutCredentials = (
  _all: string,
  scheme: string,
  user: string,
  password: string | undefined,
): string => (password === undefined ? `${scheme}${HIDDEN}@` : `${scheme}${user}:${HIDDEN}@`);

const withoutSecret = (all: string, sign: string, name: string): string =>
  isSecretName(name) ? `${sign}${name}=${HIDDEN}` : all;

const withoutSecretFields = (text: string, pattern: RegExp): string =>
  text.replace(pattern, (all: string, before: string, name: string) =>
    isSecretName(name) ? `${before}${HIDDEN}` : all,
  );

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
