/**
 * What becomes of the headers of a request before the app sees them. Runs in web workers, where a setting asks for it. Pure but for
 * the headers themselves, from which it takes what only a proxy may say.
 */
import type { HeadSpec } from './spec.ts';

/** The headers of a request in all the forms in which Node.js hands them out. */
export interface Headers {
  /** By name in small letters. */
  byName: Record<string, unknown>;
  /** Names and values in turn, as they came. */
  raw: string[];
  /** Each value by itself; only HTTP/1 has it. */
  distinct?: (() => Record<string, unknown>) | undefined;
}

/** Why the request is refused; undefined where it goes on. */
export type Rules = (headers: Headers, isTrusted: boolean) => string | undefined;

/** What the app is told of where its client came from: under these names frameworks look. */
const PROTO = 'x-forwarded-proto';
const FORWARDING = new Set(['forwarded', 'x-real-ip']);
const FORWARDING_START = 'x-forwarded-';

export function rulesOf({ guards, schemes, forwarder, underscores }: HeadSpec): Rules {
  const secure = new Map(Object.entries(schemes).map(([name, value]) => [name.toLowerCase(), value]));
  const exempt = new Set(forwarder.map((name) => name.toLowerCase()));
  const isExempt = (name: string): boolean => exempt.has('*') || exempt.has(name);
  const fromProxies = new Set([...FORWARDING, ...[...secure.keys(), ...exempt].map(dashed)]);

  return (headers, isTrusted) => {
    for (const name of namesOf(headers)) {
      const hasUnderscore = name.includes('_');
      const plain = hasUnderscore ? dashed(name) : name;
      if (guards && !isTrusted && (plain.startsWith(FORWARDING_START) || fromProxies.has(plain)))
        take(headers, name);
      else if (underscores && hasUnderscore && !(isTrusted && isExempt(name))) {
        if (underscores === 'refuse') return 'a header has an underscore in its name';
        take(headers, name);
      }
    }
    return guards && isTrusted ? tellScheme(headers, secure) : undefined;
  };
}

/**
 * By their raw names, which are all of them: beyond a number of headers, and where one is called `__proto__`, Node.js has them there
 * and not by name.
 */
function namesOf({ raw }: Headers): Set<string> {
  const names = new Set<string>();
  for (let at = 0; at < raw.length; at += 2) names.add(raw[at]!.toLowerCase());
  return names;
}

/** Whoever hands headers on as variables (CGI) makes both the same. */
const dashed = (name: string): string => name.replaceAll('_', '-');

function take({ byName, raw, distinct }: Headers, name: string): void {
  // Node.js makes this one of the raw headers, when it is first asked for.
  const apart = distinct?.();
  if (apart) delete apart[name];
  delete byName[name];
  for (let at = raw.length - 2; at >= 0; at -= 2) if (raw[at]!.toLowerCase() === name) raw.splice(at, 2);
}

/** Every header that says something of it must say the same. What frameworks do not look for is said once more where they do. */
function tellScheme(headers: Headers, secure: ReadonlyMap<string, string>): string | undefined {
  const { byName, raw, distinct } = headers;
  let scheme: string | undefined;
  let isTold = false;
  for (const name of secure.keys()) isTold ||= byName[name] !== undefined;
  if (!isTold) return undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const wanted = secure.get(raw[at]!.toLowerCase());
    if (wanted === undefined) continue;
    const said = sameWord(raw[at + 1]!, wanted) ? 'https' : 'http';
    if (scheme !== undefined && scheme !== said) return 'headers of the proxy contradict each other';
    scheme = said;
  }
  if (scheme === undefined || byName[PROTO] !== undefined) return undefined;
  const apart = distinct?.();
  if (apart) apart[PROTO] = [scheme];
  byName[PROTO] = scheme;
  raw.push('X-Forwarded-Proto', scheme);
  return undefined;
}

/** Of several proxies the first one in the list is that which the client speaks with, as frameworks have it too. */
const sameWord = (value: string, wanted: string): boolean =>
  value.split(',', 1)[0]!.trim().toLowerCase() === wanted.toLowerCase();
