interface PgError {
  readonly code?: string;
}

/** A fold that threw. The message names the class of the error: that of a foreign error may quote a value. */
export class FoldError extends Error {
  constructor(error: unknown) {
    super(`fold threw ${error instanceof Error ? error.name : typeof error}`);
    this.name = 'FoldError';
  }
}

/**
 * Whether the data was refused, and not the moment: bad values and broken constraints (22, 23, 44), two rows of one id (21), a value that is too large for
 * an index or a document (54), a rule in a trigger of the new application (P0), a fold that threw.
 */
export function isDataError(error: unknown): boolean {
  if (error instanceof FoldError) return true;
  const code = (error as PgError | null)?.code;
  return typeof code === 'string' && /^(?:2[123]|44|54|P0)...$/.test(code);
}

/** Whether a lock was waited for as long as the session allows. */
export function isLockTimeout(error: unknown): boolean {
  return (error as PgError | null)?.code === '55P03';
}

/** Whether PostgreSQL ended this transaction so that another could go on. */
export function isLockError(error: unknown): boolean {
  const code = (error as PgError | null)?.code;
  return code === '40P01' || code === '40001';
}
