/**
 * How this process was started, as it was then: a new arbiter of an upgrade is started the same way. Runs in the arbiter, from its
 * first moment; imports nothing heavy.
 */
import { statSync } from 'node:fs';

export interface StartContext {
  /** The file of the command, and its arguments. */
  readonly file: string;
  readonly argv: readonly string[];
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** The directory as whoever started it called it: a link to a release may lead to another one by now. */
  readonly cwd: string;
  readonly umask: number;
}

/** To be called before anything changes the environment, the directory or the umask; what is for this process alone is taken out already. */
export function startContext(): StartContext {
  const [, file = '', ...argv] = process.argv;
  return { file, argv, env: { ...process.env }, cwd: namedDirectory(), umask: process.umask() };
}

function namedDirectory(): string {
  const named = process.env['PWD'];
  let here = '/';
  try {
    here = process.cwd();
    if (!named?.startsWith('/') || named === here) return here;
    const [one, other] = [statSync(named), statSync(here)];
    return one.dev === other.dev && one.ino === other.ino ? named : here;
  } catch {
    // Its own directory may be gone: that the settings cannot be read there is said when they are.
    return here;
  }
}
