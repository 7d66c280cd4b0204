interface PgError {
  readonly code?: string;
}

/** A fold that threw. The message contains only the class of the error: the message of another library's error may quote a value. */
export class FoldError extends Error {
  constructor(error: unknown) {
    super(`fold threw ${error instanceof Error ? error.name : typeof error}`);
    this.name = 'FoldError';
  }
}

/**
 * Whether the data itself was refused, so that a retry would not help: bad values and broken constraints (22, 23, 44), two rows with one id (21), a value too large for
 * an index or a document (54), an exception raised in a trigger of the new application (P0), a fold that threw.
 */
export function isDataError(error: unknown): boolean {
  if (error instanceof FoldError) return true;
  const code = (error as PgError | null)?.code;
  return typeof code === 'string' && /^(?:2[123]|44|54|P0)...$/.test(code);
}

/** Whether a lock wait exceeded the timeout of the session. */
export function isLockTimeout(error: unknown): boolean {
  return (error as PgError | null)?.code === '55P03';
}

/** Whether PostgreSQL aborted this transaction because of a deadlock or a serialization failure. */
export function isLockError(error: unknown): boolean {
  const code = (error as PgError | null)?.code;
  return code === '40P01' || code === '40001';
}
