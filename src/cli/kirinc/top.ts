/** stub */
import type { Context } from './execute.ts';
export async function top(_rest: readonly string[], _context: Context): Promise<number> {
  return 1;
}
