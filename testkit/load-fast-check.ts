import { createRequire } from 'node:module';
import { CrosswalkError } from '../runtime/errors.ts';

/** The type of the loaded library. */
export type FastCheck = typeof import('fast-check').default;

/** Loads fast-check, which users of checkProjection install. Synchronous, so that a check that is not awaited fails as well. Throws `config_invalid` if it is missing. */
export function loadFastCheck(from: string = import.meta.url): FastCheck {
  try {
    return createRequire(from)('fast-check') as FastCheck;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new CrosswalkError(
      'config_invalid.no_fast_check',
      'checkProjection needs fast-check, which is not installed',
      { cause: error },
    );
  }
}
