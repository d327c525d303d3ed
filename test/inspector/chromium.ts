/** Finds the Chromium that is installed, for tests of pages; without one they are skipped, but in CI they fail. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const USUAL = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const found = process.env['KIRIN_CHROMIUM'] || USUAL.find((path) => existsSync(path));

/** For a test's `skip`: why, or false where there is a browser or CI, which must have one. */
export const withoutBrowser: string | false =
  found === undefined && process.env['CI'] !== 'true'
    ? 'no Chromium was found: install one, or name it in KIRIN_CHROMIUM'
    : false;

export async function launchBrowser(): Promise<Browser> {
  if (found === undefined) throw new Error('no Chromium was found, and CI must test the page');
  return chromium.launch({ executablePath: found, headless: true, args: FLAGS });
}
