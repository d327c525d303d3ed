/**
 * What must not leave this process: values of `env` and environment files, and whatever is named like a password,
 * a token or a key. Runs in the arbiter; every reply of the control interface and every line of the log goes through
 * one redactor. It knows the values and looks for them in texts, since an app's error may quote them.
 */

export const HIDDEN = '***';

/** Names of settings and variables whose values are secrets. */
const SECRET_NAME =
  /pass(word|wd|phrase)?|secret|token|credential|private|api_?key|access_?key|(^|_)(key|auth|dsn|cookie|salt)($|_)/i;
/** Variables that everybody sets and nobody hides. */
const HARMLESS_NAME =
  /^(NODE_ENV|NODE_OPTIONS|PATH|HOME|PWD|SHELL|USER|LOGNAME|HOST|HOSTNAME|PORT|TZ|LANG|LC_\w+|TERM|TMPDIR|LOG_LEVEL|DEBUG|WEB_CONCURRENCY|KIRIN_\w+)$/;
/** Shorter values are found in innocent texts all the time. */
const VALUE_LENGTH_MIN = 6;
/** More values than that are not looked for: a bound, far above what environments have. */
const VALUES_MAX = 2000;
/**
 * What stands before the host of a URL, up to the last `@` of its authority, since a password may hold one. The user's name
 * is shown, unless it is all there is: then it is most likely a token.
 */
const URL_CREDENTIALS = /\b([a-z][a-z0-9+.-]{0,20}:\/\/)([^\s"'`<>:@/?#]{0,200})(:[^\s"'`<>/?#]{0,4000})?@/gi;

export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);

export class Redactor {
  readonly #values = new Set<string>();
  #pattern: RegExp | undefined;

  /** Learns the secrets among variables. With `all`, every value counts but those everybody knows. */
  learn(variables: Readonly<Record<string, string | undefined>>, { all }: { all: boolean }): void {
    const before = this.#values.size;
    for (const [name, value] of Object.entries(variables)) {
      if (value === undefined || value.length < VALUE_LENGTH_MIN || HARMLESS_NAME.test(name)) continue;
      if ((all || isSecretName(name)) && this.#values.size < VALUES_MAX) this.#values.add(value);
    }
    if (this.#values.size === before) return;
    // The longest first, since one value may be part of another.
    const parts = [...this.#values].sort((a, b) => b.length - a.length).map(escaped);
    this.#pattern = new RegExp(parts.join('|'), 'g');
  }

  /** A text without the secrets in it. */
  text(text: string): string {
    const known =
      this.#pattern && text.length >= VALUE_LENGTH_MIN ? text.replace(this.#pattern, HIDDEN) : text;
    return known.includes('://') ? known.replace(URL_CREDENTIALS, withoutCredentials) : known;
  }

  /** The fields of a log line, with their texts and lists of texts. */
  fields(fields: object): Record<string, unknown> {
    const entries = Object.entries(fields).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map((one) => this.replacer('', one)) : this.replacer(name, value),
    ]);
    return Object.fromEntries(entries);
  }

  /** For `JSON.stringify`: the same for every text in a value, and all of what is named like a secret. */
  readonly replacer = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    return value !== '' && key !== '' && isSecretName(key) ? HIDDEN : this.text(value);
  };
}

const withoutCredentials = (
  _all: string,
  scheme: string,
  user: string,
  password: string | undefined,
): string => (password === undefined ? `${scheme}${HIDDEN}@` : `${scheme}${user}:${HIDDEN}@`);

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
