/** stub */

import type { Output } from './output.ts';
import type { Session } from './session.ts';
export async function runShell(_s: Session, _o: Output): Promise<number> {
  return 1;
}
