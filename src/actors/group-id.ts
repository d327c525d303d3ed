/** The number of a group, which Node.js does not look up. Runs in the arbiter, for a Unix socket that is given to one. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const ASK_MS = 2_000;

/** Undefined: there is no such group. A number stands for itself. */
export function groupId(name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  return inFile(name) ?? asked(name);
}

function inFile(name: string): number | undefined {
  try {
    const line = readFileSync('/etc/group', 'utf8')
      .split('\n')
      .find((each) => each.startsWith(`${name}:`));
    return numberIn(line?.split(':')[2]);
  } catch {
    return undefined;
  }
}

/** Groups may be kept elsewhere: LDAP, systemd, macOS' directory. */
function asked(name: string): number | undefined {
  const [command, args, pattern] =
    process.platform === 'darwin'
      ? (['dscl', ['.', '-read', `/Groups/${name}`, 'PrimaryGroupID'], /PrimaryGroupID: (\d+)/] as const)
      : (['getent', ['group', name], /^[^:]*:[^:]*:(\d+):/] as const);
  const { stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: ASK_MS });
  return numberIn(pattern.exec(stdout ?? '')?.[1]);
}

const numberIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
