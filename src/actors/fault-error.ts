/** A fault on its way through code that throws; where it meets a machine it becomes an event again. */
import type { Fault, FaultCode } from '../machines/faults.ts';

/** An app's error may carry megabytes; a link's frame and a log line do not. In UTF-16 units. */
const MESSAGE_MAX = 1024;
const STACK_MAX = 32 * 1024;

/** A fault that fits into a frame; what is cut off is told. */
export function fault(code: FaultCode, message: string, stack?: string): Fault {
  // A message is one line; where there is a stack, that has the rest.
  const [first = '', ...more] = message.split('\n');
  const line = stack === undefined ? [first, ...more.map((one) => one.trim())].join(' ') : first;
  const short = { code, message: shortened(line, MESSAGE_MAX) };
  return stack === undefined ? short : { ...short, stack: shortened(stack, STACK_MAX) };
}

const shortened = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max)} ... (${text.length - max} more characters)`;

export class FaultError extends Error {
  readonly fault: Fault;

  constructor(code: FaultCode, message: string, stack?: string) {
    super(message);
    this.name = 'FaultError';
    this.fault = fault(code, message, stack);
  }
}

/** The fault an error stands for: its own if it is a FaultError, else `fallback` with its message and stack. */
export function toFault(error: unknown, fallback: FaultCode): Fault {
  if (error instanceof FaultError) return error.fault;
  if (error instanceof Error) return fault(fallback, `${error.name}: ${error.message}`, error.stack);
  return fault(fallback, String(error));
}
