import { toLsnText } from '../changes/lsn.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Position } from './position.ts';

/**
 * Checks what the server sends again, up to the stored position: its last transaction must be the one the position was
 * reached with. A server restored from a copy of its files has the same system identifier and timeline, and its own
 * changes would be skipped as known. The stored position is confirmed only together with a later one: otherwise it
 * would not be sent again, and a second start would find nothing wrong.
 */
export function createResentCheck(stored: Pick<Position, 'lsn' | 'last'>) {
  let last: string | undefined;
  return {
    /** A transaction before the stored position was received. */
    pass(id: string): void {
      last = id;
    },
    /** Must be called before anything after the stored position is handled. Throws `position_mismatch`. */
    settle(): void {
      if (last === undefined || stored.last === undefined || last === stored.last) return;
      throw new CrosswalkError(
        'position_mismatch.other_history',
        `Transaction ${last} is the server's last one before the stored position ${toLsnText(stored.lsn)}, which was reached with ${stored.last}`,
      );
    },
  };
}
