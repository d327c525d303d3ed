/** stub */
import type { Session } from './session.ts';
export class Completer {
  constructor(_s: Session) {}
  async listing(_l: string): Promise<string> {
    return '';
  }
}
