/** Names that nobody can know before. Runs in the arbiter. Crypto is loaded at the first use: it takes a start some milliseconds. */

/** So many bytes of chance, in signs that a file's name may have. */
export const randomName = (bytes: number): string =>
  process.getBuiltinModule('node:crypto').randomBytes(bytes).toString('base64url');
