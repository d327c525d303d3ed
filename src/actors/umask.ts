/** The permissions of what is made. Runs in any process; the umask is the whole process's, so it is set around one call alone. */

/** Runs `call` so that what it makes has at most the bits `mode`; undefined: as the umask is. */
export function withUmask<T>(mode: number | undefined, call: () => T): T {
  if (mode === undefined) return call();
  const before = process.umask(0o777 & ~mode);
  try {
    return call();
  } finally {
    process.umask(before);
  }
}
