import { createRequire } from 'node:module';
import { CrosswalkError } from '../runtime/errors.ts';

/** The library, as it is loaded. */
export type FastCheck = typeof import('fast-check').default;

/** fast-check, which whoever checks projections installs. Synchronous, so that a check that nobody waits for fails as well. Throws `config_invalid` where it is missing. */
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
