/** A fault on its way through code that throws; where it meets a machine it becomes an event again. */
import type { Fault, FaultCode } from '../machines/faults.ts';

export class FaultError extends Error {
  readonly fault: Fault;

  constructor(code: FaultCode, message: string, stack?: string) {
    super(message);
    this.name = 'FaultError';
    this.fault = stack === undefined ? { code, message } : { code, message, stack };
  }
}

/** The fault an error stands for: its own if it is a FaultError, else `fallback` with its message and stack. */
export function toFault(error: unknown, fallback: FaultCode): Fault {
  if (error instanceof FaultError) return error.fault;
  if (error instanceof Error)
    return { code: fallback, message: `${error.name}: ${error.message}`, stack: error.stack };
  return { code: fallback, message: String(error) };
}
