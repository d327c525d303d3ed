/** One page that watches over a WebSocket, and sends commands where it may. Runs where the inspector is served. */
import type { WebSocket } from 'ws';
import { CommandError, parseCommand } from '../../control/grammar.ts';
import { INSPECTOR_COMMANDS } from '../records.ts';
import type { Watcher } from '../watchers.ts';
import type { Stage } from './stage.ts';

/** Unread messages of one watcher, in bytes. */
const UNREAD_BYTES_MAX = 1024 * 1024;
/** Commands of one watcher that may wait for their answer. */
const WAITING_MAX = 16;
const WORDS_MAX = 8;
const WORD_LENGTH_MAX = 64;
/** How long one that is told to leave may take. */
const LEAVE_MS = 1000;

/** RFC 6455. */
export const CLOSE = { away: 1001, violated: 1008, busy: 1013 } as const;

/** What a WebSocket is to those who tell. */
export function socketWatcher(socket: WebSocket, send = (message: string) => socket.send(message)): Watcher {
  return {
    get unreadBytes() {
      return socket.bufferedAmount;
    },
    unreadBytesMax: UNREAD_BYTES_MAX,
    send,
    end: (reason) => leave(socket, CLOSE.away, reason),
  };
}

/** Closes it in good order, and soon in any case. */
export function leave(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, Buffer.from(reason).subarray(0, 120).toString());
  setTimeout(() => socket.terminate(), LEAVE_MS).unref();
}

export function attendLive(socket: WebSocket, stage: Stage, controls: boolean): void {
  let waiting = 0;
  const answer = (id: number, rest: object): void => {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ type: 'answer', id, ...rest }));
  };
  const refuse = (id: number, error: string): void => answer(id, { ok: false, error });
  socket.on('message', (data, isBinary) => {
    const command = isBinary ? undefined : commandIn(String(data));
    if (!command) return leave(socket, CLOSE.violated, 'this is no message of the protocol');
    const { id, words } = command;
    if (!controls)
      return refuse(id, 'Permission denied: this inspector only watches (start it with --inspector-control)');
    const fault = faultIn(words);
    if (fault !== undefined) return refuse(id, fault);
    // One that does not read its answers is asked for nothing more.
    if (waiting >= WAITING_MAX || socket.bufferedAmount > UNREAD_BYTES_MAX)
      return refuse(id, `Too many commands wait for their answer: at most ${WAITING_MAX}`);
    waiting++;
    stage
      .command(words)
      .then(
        (data) => answer(id, outcomeOf(data)),
        (error: Error) => refuse(id, error.message),
      )
      .finally(() => waiting--);
  });
  const stop = stage.watch(socketWatcher(socket), { controls, from: 'past' });
  socket.once('close', stop);
  if (socket.readyState !== socket.OPEN) stop();
}

function commandIn(text: string): { id: number; words: string[] } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { type, id, words } = (value ?? {}) as Record<string, unknown>;
  const isCommand = type === 'command' && Number.isSafeInteger(id) && Array.isArray(words);
  if (!isCommand || words.length > WORDS_MAX || !words.every(isWord)) return undefined;
  return { id: id as number, words };
}

/** An order that was taken may have failed all the same; its answer says why. */
function outcomeOf(data: object): object {
  const { success, error, reason } = data as { success?: unknown; error?: unknown; reason?: unknown };
  if (success !== false) return { ok: true, data };
  return { ok: false, error: String(error ?? reason ?? 'it failed'), data };
}

const isWord = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && value.length <= WORD_LENGTH_MAX;

/** Why a command is not carried out, if it is not. */
function faultIn(words: readonly string[]): string | undefined {
  try {
    const { name } = parseCommand(words).spec;
    const isOurs = (INSPECTOR_COMMANDS as readonly string[]).includes(name);
    return isOurs ? undefined : `Permission denied: "${name}" is no command of the inspector`;
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}
