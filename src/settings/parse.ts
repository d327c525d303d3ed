/**
 * One value of one setting, from text (command line, environment) or from a configuration file's own types.
 * Every message says what would be right and where the wrong value came from.
 */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { type Address, formatAddress, parseAddress } from '../actors/address.ts';
import { cgroupLimits, workersFor } from '../actors/cgroup.ts';
import { FaultError } from '../actors/fault-error.ts';
import { didYouMean } from './suggest.ts';
import { type Kind, type Setting, WORKERS_MAX } from './table.ts';

export interface ParseContext {
  /** What the user wrote it as: `--workers`, `KIRIN_WORKERS`, `workers in kirin.config.js`. */
  origin: string;
  /** A relative path is taken from here. */
  directory: string;
}

export const invalid = (message: string) => new FaultError('settings.invalid', message);

const shown = (raw: unknown): string => {
  const text = typeof raw === 'string' ? raw : (JSON.stringify(raw) ?? String(raw));
  const short = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  // As it stands where it was written: a number of a file is no text.
  return typeof raw === 'string' ? `"${short}"` : short;
};

const must = (context: ParseContext, what: string, raw: unknown): never => {
  throw invalid(`${context.origin} must be ${what}, not ${shown(raw)}`);
};

/** Reads `raw` as what `setting` takes; throws FaultError `settings.invalid`. */
export function parseValue(setting: Setting, raw: unknown, context: ParseContext): unknown {
  const { type } = setting;
  switch (type.kind) {
    case 'path':
      return parsePath(type, raw, context);
    case 'count':
      return parseCount(type, raw, context);
    case 'workers':
      return parseWorkers(raw, context);
    case 'seconds':
      return parseSeconds(type, raw, context);
    case 'choice':
      return parseChoice(type, raw, context);
    case 'surge':
      return parseSurge(raw, context);
    case 'bytes':
      return parseBytes(type, raw, context);
    case 'mode':
      return parseMode(raw, context);
    case 'label':
      return parseLabel(type, raw, context);
    case 'switch':
      return parseSwitch(raw, context);
    case 'addresses':
      return parseAddresses(raw, context);
    case 'endpoint':
      return parseEndpoint(type, raw, context);
    case 'text':
      return parseText(type, raw, context);
    case 'token':
      return parseToken(type, raw, context);
    case 'paths':
      return parseList(raw, context).map((path) => resolve(context.directory, path));
    case 'texts':
      return parseList(raw, context).map((text) => text.trim());
    case 'words':
      return parseWords(raw, context);
    case 'amounts':
      return parseAmounts(raw, context);
    case 'pairs':
      return parsePairs(raw, context);
  }
}

/** A number given as one or as text; undefined for anything else. No exponents, no "0x10", no blanks. */
function numberIn(raw: unknown): number | undefined {
  if (typeof raw === 'number') return raw;
  return typeof raw === 'string' && /^-?\d+(\.\d+)?$/.test(raw.trim()) ? Number(raw) : undefined;
}

const isWholeWithin = (value: number | undefined, min: number, max: number): value is number =>
  Number.isSafeInteger(value) && value! >= min && value! <= max;

function bounds(value: number | undefined, min: number, max: number): string {
  return value !== undefined && value > max ? `of at most ${max}` : `of at least ${min}`;
}

function parseCount({ min, max }: Kind & { kind: 'count' }, raw: unknown, context: ParseContext): number {
  const value = numberIn(raw);
  if (isWholeWithin(value, min, max)) return value;
  return must(context, `a whole number ${bounds(value, min, max)}`, raw);
}

function parseWorkers(raw: unknown, context: ParseContext): number {
  if (raw === 'auto') return Math.min(workersFor(availableParallelism(), cgroupLimits()), WORKERS_MAX);
  const value = numberIn(raw);
  if (isWholeWithin(value, 1, WORKERS_MAX)) return value;
  return must(context, `a whole number ${bounds(value, 1, WORKERS_MAX)} (or "auto")`, raw);
}

function parseSeconds({ min, max }: Kind & { kind: 'seconds' }, raw: unknown, context: ParseContext): number {
  const value = numberIn(raw);
  if (value !== undefined && value >= min && value <= max) return Math.ceil(value * 1000);
  return must(context, `a number of seconds ${bounds(value, min, max)}`, raw);
}

function parseChoice(
  { of, numbered }: Kind & { kind: 'choice' },
  raw: unknown,
  context: ParseContext,
): string {
  if (typeof raw === 'string' && of.includes(raw)) return raw;
  const one = numbered && /^\d$/.test(String(raw)) ? of[Number(raw)] : undefined;
  if (one !== undefined) return one;
  const list = `${of.slice(0, -1).join(', ')} or ${of.at(-1)}`;
  const hint = typeof raw === 'string' ? didYouMean(raw, of) : '';
  throw invalid(`${context.origin} must be ${list}, not ${shown(raw)}${hint}`);
}

const UNITS: Record<string, number> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

function parseBytes(
  { min, max, auto }: Kind & { kind: 'bytes' },
  raw: unknown,
  context: ParseContext,
): number | 'auto' {
  if (auto && raw === 'auto') return 'auto';
  const [, digits = '', unit = ''] =
    /^(\d{1,12})\s*([KMG]?)(?:i?B)?$/i.exec(typeof raw === 'number' ? String(raw) : shownText(raw)) ?? [];
  const value = digits === '' ? undefined : Number(digits) * UNITS[unit.toUpperCase()]!;
  if (isWholeWithin(value, min, max)) return value;
  return must(
    context,
    `a number of bytes ${bounds(value, min, max)}, or such as 64K or 1M${auto ? ' (or "auto")' : ''}`,
    raw,
  );
}

const shownText = (raw: unknown): string => (typeof raw === 'string' ? raw.trim() : '');

const MODE_MAX = 0o777;

/** Text is octal, as chmod reads it; a number is the bits themselves, so that 660 is most likely a mistake. */
function parseMode(raw: unknown, context: ParseContext): number {
  if (typeof raw === 'number') {
    if (Number.isSafeInteger(raw) && raw >= 0 && raw <= MODE_MAX) return raw;
    const meant = /^[0-7]{3}$/.test(String(raw)) ? `0${raw}` : '0660';
    throw invalid(`${context.origin} must be permission bits up to 0o777, not ${raw}: write "${meant}"`);
  }
  const digits = /^(?:0o)?([0-7]{1,6})$/i.exec(shownText(raw))?.[1];
  const mode = digits === undefined ? Number.NaN : Number.parseInt(digits, 8);
  return mode <= MODE_MAX ? mode : must(context, 'octal permissions from 0 to 0777, such as 0660', raw);
}

function parseSwitch(raw: unknown, context: ParseContext): boolean {
  if (typeof raw === 'boolean') return raw;
  const text = shownText(raw).toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(text)) return true;
  if (['false', '0', 'no', 'off'].includes(text)) return false;
  return must(context, 'true or false', raw);
}

function parseSurge(raw: unknown, context: ParseContext): { count: number } | { percent: number } {
  const percent =
    typeof raw === 'string' && raw.trim().endsWith('%') ? numberIn(raw.trim().slice(0, -1)) : undefined;
  if (percent !== undefined && percent > 0 && percent <= 100) return { percent };
  const count = numberIn(raw);
  if (isWholeWithin(count, 1, WORKERS_MAX)) return { count };
  return must(context, 'a whole number of at least 1, or a share such as 25% (at most 100%)', raw);
}

function parsePath({ stdio }: Kind & { kind: 'path' }, raw: unknown, context: ParseContext): string {
  if (typeof raw !== 'string' || raw === '' || raw.includes('\0')) return must(context, 'a path', raw);
  return stdio && raw === '-' ? raw : resolve(context.directory, raw);
}

function parseLabel({ lengthMax }: Kind & { kind: 'label' }, raw: unknown, context: ParseContext): string {
  const text = shownText(raw);
  if (text !== '' && text.length <= lengthMax && !/\p{Cc}/u.test(text)) return text;
  const seen = typeof raw === 'string' ? raw.replace(/\p{Cc}/gu, '?') : raw;
  return must(context, `one line of at most ${lengthMax} characters`, seen);
}

/** A list, or one value of it. Text from the environment was split by commas before. */
function parseList(raw: unknown, context: ParseContext, wanted = 'text, or a list of texts'): string[] {
  const list = Array.isArray(raw) ? raw : [raw];
  for (const item of list) if (typeof item !== 'string' || item.trim() === '') must(context, wanted, item);
  return list as string[];
}

function parseWords(raw: unknown, context: ParseContext): string[] {
  const words = Array.isArray(raw) ? raw : [raw];
  for (const word of words)
    if (typeof word !== 'string' || word.includes('\0')) must(context, 'a list of texts', word);
  return words as string[];
}

function parseAddresses(raw: unknown, context: ParseContext): string[] {
  const items = (Array.isArray(raw) ? raw : [raw]).map((item) =>
    typeof item === 'number' ? String(item) : item,
  );
  if (items.length === 0) must(context, 'at least one address', raw);
  const addresses = parseList(items, context).map((text) => parseAddress(text, context.directory));
  return [...new Set(addresses.map(formatAddress))];
}

/** Undefined where it is switched off. */
function parseEndpoint(
  { byDefault, unix }: Kind & { kind: 'endpoint' },
  raw: unknown,
  context: ParseContext,
): string | undefined {
  const text = typeof raw === 'number' ? String(raw) : shownText(raw);
  if (raw === true || ['true', 'yes', 'on'].includes(text.toLowerCase())) return byDefault;
  if (raw === false || ['false', 'no', 'off'].includes(text.toLowerCase())) return undefined;
  const address = addressIn(text, context.directory);
  return address?.kind === 'tcp' || (unix && address?.kind === 'unix')
    ? formatAddress(address)
    : must(context, `HOST:PORT, PORT, ${unix ? 'unix:PATH, ' : ''}true or false`, raw);
}

function addressIn(text: string, directory: string): Address | undefined {
  try {
    return parseAddress(text, directory);
  } catch {
    return undefined;
  }
}

function parseText({ lengthMax }: Kind & { kind: 'text' }, raw: unknown, context: ParseContext): string {
  if (typeof raw === 'string' && raw.length <= lengthMax && /^[\x20-\x7e]*$/.test(raw)) return raw;
  return must(context, `a text of at most ${lengthMax} printable characters`, raw);
}

/** What was given is not repeated: it is a secret. */
function parseToken(
  { lengthMin, lengthMax }: Kind & { kind: 'token' },
  raw: unknown,
  context: ParseContext,
): string {
  if (
    typeof raw === 'string' &&
    /^[\x21-\x7e]*$/.test(raw) &&
    raw.length >= lengthMin &&
    raw.length <= lengthMax
  )
    return raw;
  throw invalid(
    `${context.origin} must be a text of ${lengthMin} to ${lengthMax} ASCII characters without blanks`,
  );
}

function parsePairs(raw: unknown, context: ParseContext): Record<string, string> {
  const entries: [string, unknown][] =
    typeof raw === 'object' && raw !== null && !Array.isArray(raw)
      ? Object.entries(raw)
      : parseList(raw, context, 'an object of texts, or a list of NAME=VALUE').map((pair) => {
          const at = pair.indexOf('=');
          // What is not a pair may be a secret all the same: it is not shown.
          if (at < 1) throw invalid(`${context.origin} must be NAME=VALUE, and one of them is not`);
          return [pair.slice(0, at), pair.slice(at + 1)];
        });
  for (const [name, value] of entries)
    if (name.includes('\0') || name.includes('=') || typeof value !== 'string' || value.includes('\0'))
      throw invalid(
        `${context.origin}: the value of "${name.replace(/[\0=].*$/s, '')}" must be a text, and its name one`,
      );
  return Object.fromEntries(entries) as Record<string, string>;
}

const AMOUNT_NAME = /^[a-z][a-z0-9_-]{0,31}$/i;
const AMOUNT_MAX = 10_000;

function parseAmounts(raw: unknown, context: ParseContext): Record<string, number> {
  const entries: [string, unknown][] =
    typeof raw === 'object' && raw !== null && !Array.isArray(raw)
      ? Object.entries(raw)
      : parseList(raw, context).map((pair): [string, unknown] => {
          const [name = '', amount, ...more] = pair.split('=');
          return more.length > 0 || amount === undefined
            ? must(context, 'NAME=N, such as gpu=2', pair)
            : [name, amount];
        });
  const amounts: Record<string, number> = {};
  for (const [name, given] of entries) {
    const amount = numberIn(given);
    if (!AMOUNT_NAME.test(name) || !isWholeWithin(amount, 1, AMOUNT_MAX))
      return must(
        context,
        `NAME=N with a whole number from 1 to ${AMOUNT_MAX}, such as gpu=2`,
        `${name}=${String(given)}`,
      );
    amounts[name.toLowerCase()] = amount;
  }
  return amounts;
}
