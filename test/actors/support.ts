/** What tests of actors share: a directory of their own, waiting with a limit, and counting descriptors. */
import { mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultError } from '../../src/actors/fault-error.ts';
import type { FaultCode } from '../../src/machines/faults.ts';

/** A directory that is removed after the test; short, since Unix sockets live in it. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(realpathSync(tmpdir()), 'k-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Polls until `condition` gives something true; throws after `limitMs`. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = 20_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await sleep(10);
  }
}

/** For `assert.throws` and `assert.rejects`: a fault of this code whose one line matches. */
export const faultOf =
  (code: FaultCode, message: RegExp) =>
  (error: unknown): boolean => {
    if (!(error instanceof FaultError)) throw error;
    if (error.fault.code !== code)
      throw new Error(`${code} was expected, not ${error.fault.code}: ${error.message}`);
    if (!message.test(error.message)) throw new Error(`"${error.message}" does not match ${message}`);
    if (error.message.includes('\n')) throw new Error(`more than one line: ${error.message}`);
    return true;
  };

/** How many sockets this process has open; Linux only. */
export const openSockets = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith('socket:')).length;

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}
