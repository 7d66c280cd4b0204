import { CrosswalkError } from '../runtime/errors.ts';

/**
 * Turns exceptions raised by a migration, and dependency errors on a drop, into an actionable `migration_failed`;
 * returns any other error unchanged. Neither holds a cell value.
 */
export function toRefusal(error: unknown, what: string): unknown {
  const { code, message, detail } = error as { code?: unknown; message?: unknown; detail?: unknown };
  // raise_exception, dependent_objects_still_exist
  if (code === 'P0001') return new CrosswalkError('migration_failed', `${what}: ${String(message)}`, { cause: error });
  if (code === '2BP01')
    return new CrosswalkError(
      'migration_failed.depended_on',
      `${what}: ${String(message)}: ${String(detail).split('\n').slice(0, 3).join('; ')}`,
      { cause: error },
    );
  return error;
}
