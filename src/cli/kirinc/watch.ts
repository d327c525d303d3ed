/** stub */
import type { Context } from './execute.ts';
export async function watch(_rest: readonly string[], _context: Context): Promise<number> {
  return 1;
}
