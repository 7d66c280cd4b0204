import { toLsnText } from '../changes/lsn.ts';
import { CrosswalkError } from '../runtime/errors.ts';
import type { Position } from './position.ts';

/**
 * Watches what the server sends again, up to the stored position: its last transaction must be the one that the position was reached with. A server that
 * was restored from a copy of its files has the same name and timeline, and its own changes would be skipped as known ones. The stored position is
 * confirmed only together with a later one: it would not be sent again, and a second start would find nothing wrong.
 */
export function createResentCheck(stored: Pick<Position, 'lsn' | 'last'>) {
  let last: string | undefined;
  return {
    /** A transaction before the stored position. */
    pass(id: string): void {
      last = id;
    },
    /** Before anything behind the stored position is handled. Throws `position_mismatch`. */
    settle(): void {
      if (last === undefined || stored.last === undefined || last === stored.last) return;
      throw new CrosswalkError(
        'position_mismatch.other_history',
        `Transaction ${last} is the server's last one before the stored position ${toLsnText(stored.lsn)}, which was reached with ${stored.last}`,
      );
    },
  };
}
