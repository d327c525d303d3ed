/** The keyboard, key by key, for as long as something fills the screen; then it is the prompt's again. */
import { emitKeypressEvents } from 'node:readline';

export interface Key {
  /** `up`, `return`, `c`; undefined for what has no name. */
  name?: string | undefined;
  ctrl: boolean;
  /** The character, if it is one. */
  text: string;
}

export interface Keyboard {
  release(): void;
}

export interface KeyHandlers {
  onKey(key: Key): void;
  /** Before Ctrl-Z stops this process, and after it goes on. */
  onSuspend?(): void;
  onResume?(): void;
}

/** Takes the keyboard from whoever has it. Without a terminal there are no keys. */
export function takeKeys({ onKey, onSuspend, onResume }: KeyHandlers): Keyboard {
  const { stdin } = process;
  if (!stdin.isTTY) return { release: () => {} };
  const others = stdin.listeners('keypress') as ((...args: unknown[]) => void)[];
  stdin.removeAllListeners('keypress');
  emitKeypressEvents(stdin);
  const listener = (text: string | undefined, key: { name?: string; ctrl?: boolean }): void => {
    if (key.ctrl && key.name === 'z') return suspend();
    onKey({ name: key.name, ctrl: key.ctrl === true, text: text ?? '' });
  };
  const suspend = (): void => {
    onSuspend?.();
    stdin.setRawMode(false);
    process.once('SIGCONT', () => {
      stdin.setRawMode(true);
      onResume?.();
    });
    process.kill(process.pid, 'SIGTSTP');
  };
  stdin.on('keypress', listener);
  stdin.setRawMode(true);
  stdin.resume();
  return {
    release: () => {
      stdin.off('keypress', listener);
      stdin.setRawMode(false);
      stdin.pause();
      for (const other of others) stdin.on('keypress', other);
    },
  };
}
