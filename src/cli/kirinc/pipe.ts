/** Commands from a pipe or a file, one a line: no banner, no prompt. */
import { EXIT, executeLine, interruption, type Output, type Session, ShellError } from './core.ts';

/** A longer line is no command; what sends it is not worth listening to. */
const LINE_LENGTH_MAX = 1024 * 1024;

/** Each line in its turn, whatever becomes of those before it; the status is that of the first failure. */
export async function runPipe(input: NodeJS.ReadStream, session: Session, output: Output): Promise<number> {
  const signal = interruption();
  let running = false;
  // While nothing runs nobody else would notice.
  const stop = (): void => void (running || process.exit(EXIT.interrupted));
  signal.addEventListener('abort', stop);
  let status: number = EXIT.ok;
  try {
    for await (const line of linesOf(input)) {
      if (isNothing(line)) continue;
      running = true;
      const ended = await executeLine(line, { session, output, signal });
      running = false;
      if (ended === EXIT.interrupted) return ended;
      if (ended === 'quit') break;
      status ||= ended;
    }
  } catch (error) {
    if (!isReadError(error)) throw error;
    output.complain(error.message);
    status ||= EXIT.failed;
  }
  return status;
}

/** Blank, or a comment. */
export const isNothing = (line: string): boolean => /^\s*(#|$)/.test(line);

async function* linesOf(input: NodeJS.ReadStream): AsyncGenerator<string> {
  let partial = '';
  for await (const piece of input.setEncoding('utf8')) {
    const lines = (partial + piece).split('\n');
    partial = lines.pop()!;
    yield* lines;
    if (partial.length > LINE_LENGTH_MAX)
      throw new ShellError(`Line too long - standard input: the most is ${LINE_LENGTH_MAX} characters`);
  }
  if (partial !== '') yield partial;
}

/** Such as standard input that is closed or a directory. */
const isReadError = (error: unknown): error is Error =>
  error instanceof ShellError ||
  (error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string');
