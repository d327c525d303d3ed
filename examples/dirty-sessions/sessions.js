// A dirty app that looks after the sessions: dirty workers share the stash with the web workers.
import { DirtyApp, stash } from 'kirin';

export class Sessions extends DirtyApp {
  // One is enough to count.
  static workers = 1;

  async report() {
    const ids = await stash.keys('sessions');
    let visits = 0;
    for (const id of ids) {
      this.call.signal.throwIfAborted();
      visits += (await stash.get('sessions', id))?.visits ?? 0;
    }
    return { sessions: ids.length, visits };
  }
}
