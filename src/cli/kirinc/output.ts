/** The shell's two streams: what was asked for on one, everything about it on the other. */
import { visible } from './text.ts';

export interface Output {
  /** Replies as one line of JSON. */
  readonly json: boolean;
  /** Whether a person looks at standard output. */
  readonly terminal: boolean;
  /** Resolves when the text is written, so that nothing is lost at the exit. */
  print(text: string): Promise<void>;
  /** What is printed and not read yet. */
  readonly backlog: number;
  /** `Error: TEXT` on standard error. */
  complain(text: string): void;
  /** One line on standard error. */
  remark(text: string): void;
  /** In bold where that is seen. */
  bold(text: string): string;
  dim(text: string): string;
}

const RED = '31';
const BOLD = '1';
const DIM = '2';

/** Colour is for terminals, and for those who have not said no. */
export const wantsColour = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';

export function createOutput(json: boolean): Output {
  const { stdout } = process;
  const colour = wantsColour(stdout);
  const painted = (text: string, code: string, on: boolean) =>
    on ? `\u001b[${code}m${text}\u001b[0m` : text;
  const remark = (text: string): void => {
    const { stderr } = process;
    if (stderr.listenerCount('error') === 0) stderr.on('error', () => {});
    stderr.write(`${text}\n`);
  };
  stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    // A reader that has seen enough (`| head -1`) is no error.
    if (code === 'EPIPE') process.exit(0);
    remark(`Error: Cannot write to standard output: ${message}`);
    process.exit(1);
  });
  return {
    json,
    terminal: stdout.isTTY === true,
    print: (text) => new Promise((resolve) => void stdout.write(`${text}\n`, () => resolve())),
    get backlog() {
      return stdout.writableLength;
    },
    complain: (text) => remark(`${painted('Error:', RED, wantsColour(process.stderr))} ${visible(text)}`),
    remark: (text) => remark(visible(text)),
    bold: (text) => painted(text, BOLD, colour),
    dim: (text) => painted(text, DIM, colour),
  };
}
