/**
 * The file of a recording, read line by line. Runs in `kirin inspect FILE`. What an earlier part of the same recording is lies
 * beside it as FILE.1 (recording-names.ts), and is read before it. Nothing is kept: a file may be as large as it likes, a line may not.
 */
import { open } from 'node:fs/promises';
import { FaultError } from '../../fault-error.ts';
import { olderFile } from '../recording-names.ts';
import { type Hello, INSPECTOR_PROTOCOL } from '../records.ts';

/** Of one message, in bytes; those that Kirin writes are far smaller. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
const READ_BYTES = 256 * 1024;
const NEWLINE = 10;
const EMPTY = 'this is no recording of the inspector: it is empty';
const MISSING = 'there is no such file';

/** What a recording tells of itself. */
export interface RecordingFacts {
  /** Its files, the oldest first. */
  readonly files: readonly string[];
  readonly hello: Hello;
  /** When its first and its last record were made. */
  readonly from: number;
  readonly to: number;
  readonly records: number;
}

const bad = (file: string, why: string) => new FaultError('file.unusable', `${file}: ${why}`);

/** Reads it through once. Throws FaultError `file.unusable` with one line. */
export async function lookThrough(file: string): Promise<RecordingFacts> {
  const older = await lookThroughOne(olderFile(file)).catch(() => undefined);
  const newest = await lookThroughOne(file).catch((error: FaultError) => {
    // Whoever kept it may have been killed before it was begun, or before anything was written to it.
    if (older && (error.message.endsWith(EMPTY) || error.message.endsWith(MISSING))) return older;
    throw error;
  });
  if (older === newest) return newest;
  // Of an earlier server it is another recording.
  if (!older || older.hello.pid !== newest.hello.pid || older.hello.at > newest.hello.at) return newest;
  return {
    files: [...older.files, ...newest.files],
    hello: newest.hello,
    from: older.from,
    to: newest.to,
    records: older.records + newest.records,
  };
}

async function lookThroughOne(file: string): Promise<RecordingFacts> {
  let hello: Hello | undefined;
  let from: number | undefined;
  let to = 0;
  let records = 0;
  let number = 0;
  for await (const line of linesOf(file)) {
    number++;
    const message = messageOf(line);
    if (!hello) {
      if (message?.['type'] !== 'hello') throw bad(file, 'this is no recording of the inspector');
      if (message['protocol'] !== INSPECTOR_PROTOCOL)
        throw bad(
          file,
          `a recording of protocol ${message['protocol']}; this Kirin reads ${INSPECTOR_PROTOCOL}`,
        );
      hello = message as unknown as Hello;
      continue;
    }
    // A crash may have cut the last line.
    if (!message) continue;
    if (message['type'] === 'state') from ??= message['at'] as number;
    if (message['type'] !== 'records') continue;
    if (!Array.isArray(message['records'])) throw bad(file, `line ${number} is no message of the inspector`);
    for (const { at } of message['records'] as { at: number }[]) {
      from = Math.min(from ?? at, at);
      to = Math.max(to, at);
    }
    records += message['records'].length;
  }
  if (!hello) throw bad(file, EMPTY);
  return { files: [file], hello, from: from ?? hello.at, to: Math.max(to, from ?? hello.at), records };
}

/** The messages of a recording but its greeting, as they stand in it. */
export async function* messagesOf({ files }: RecordingFacts): AsyncGenerator<string> {
  for (const file of files)
    for await (const line of linesOf(file)) {
      const type = messageOf(line)?.['type'];
      if (type === 'state' || type === 'records' || type === 'lost') yield line;
    }
}

function messageOf(line: string): Record<string, unknown> | undefined {
  try {
    const message: unknown = JSON.parse(line);
    return typeof message === 'object' && message !== null ? (message as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    throw bad(file, error.code === 'ENOENT' ? MISSING : error.message);
  });
  try {
    const about = await handle.stat();
    if (!about.isFile()) throw bad(file, 'this is no file');
    const read = Buffer.allocUnsafe(READ_BYTES);
    let pieces: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await handle.read(read, 0, READ_BYTES);
      if (bytesRead === 0) break;
      let begin = 0;
      for (
        let end = read.indexOf(NEWLINE, 0);
        end >= 0 && end < bytesRead;
        end = read.indexOf(NEWLINE, begin)
      ) {
        yield Buffer.concat([...pieces, read.subarray(begin, end)]).toString();
        pieces = [];
        bytes = 0;
        begin = end + 1;
      }
      pieces.push(Buffer.from(read.subarray(begin, bytesRead)));
      bytes += bytesRead - begin;
      if (bytes > LINE_BYTES_MAX) throw bad(file, 'this is no recording of the inspector: a line has no end');
    }
    if (bytes > 0) yield Buffer.concat(pieces).toString();
  } catch (error) {
    if (error instanceof FaultError) throw error;
    throw bad(file, (error as Error).message);
  } finally {
    await handle.close();
  }
}
