/**
 * What whoever comes from PM2 writes by habit, and what it is here: options and keys that have another name, and commands, of which Kirin
 * has none. Runs in the arbiter, where such a word is refused.
 */
import { existsSync } from 'node:fs';

const SETTINGS: Readonly<Record<string, string>> = {
  i: '--workers',
  instances: '--workers',
  name: '--proc-name',
  watch: '--reload',
  cwd: '--chdir',
  'kill-timeout': '--graceful-timeout',
  'listen-timeout': '--boot-timeout',
  'max-memory-restart': '--max-memory',
  'node-args': '--node-arg',
  error: '--error-logfile',
  script: 'the app itself, app.js or "app" in a file',
};

const COMMANDS: Readonly<Record<string, string>> = {
  start: 'kirin app.js',
  stop: 'kirinc -c shutdown',
  delete: 'kirinc -c shutdown',
  kill: 'kirinc -c shutdown',
  restart: "kirinc -c 'reload --wait'",
  reload: "kirinc -c 'reload --wait'",
  scale: "kirinc -c 'worker add 2'",
  list: "kirinc -c 'show workers'",
  ls: "kirinc -c 'show workers'",
  status: "kirinc -c 'show workers'",
  describe: "kirinc -c 'show all'",
  show: "kirinc -c 'show all'",
  monit: 'kirinc, and there top',
  logs: 'kirinc, and there events',
  help: 'kirin --help',
};

/** What a flag or key of PM2's is here, to follow its name; undefined for all others. */
export function whyPm2(written: string): string | undefined {
  const name = written.replaceAll('_', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const here = Object.hasOwn(SETTINGS, name) ? SETTINGS[name] : undefined;
  return here && `is PM2's: here it is ${here} (docs/from-pm2.md)`;
}

/** What to write instead of a command, in the place of an app; undefined where that word is none, or is a file. */
export function commandHint(word: string): string | undefined {
  const here = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  const isApp = ['', '.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'].some((ending) =>
    existsSync(word + ending),
  );
  return here && !isApp ? `kirin has no command "${word}": write ${here}` : undefined;
}
