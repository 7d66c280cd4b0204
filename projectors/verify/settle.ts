/** One check of a legacy row and of the target rows of its key. The target is read after everything visible in the legacy database has been applied. */
export interface Look {
  /** xmin of the legacy tuple; null if there is no row. */
  readonly tuple: string | null;
  /** xmax of the tuple as stored; '0' if untouched. */
  readonly xmax: string;
  /** Transactions below this id had ended, and were visible, when the legacy row was read. */
  readonly snapshotXmin: bigint;
  /** A transaction id assigned after the target read. Everything applied by then has a lower id. */
  readonly horizon: bigint;
  /** The difference as text; '' if there is none. Without a tuple it includes the physical version of every row found. */
  readonly difference: string;
  /** Whether a row was found that any change of the key would have written or locked. */
  readonly isTouchable: boolean;
  /** Whether a change of this legacy row is parked. */
  readonly isParked: boolean;
}

export type Verdict = 'equal' | 'different' | 'again';

/** Consecutive matching checks needed where nothing rules out that a row came and went between them. */
const ALIKE_WITHOUT_PROOF = 8;

/**
 * Whether a check settles the row. `alike`: number of previous checks that matched and were certain. One difference alone proves little: a change is
 * applied before it is visible, so the target may be ahead of the row that was read.
 *
 * A difference counts if two checks saw the same tuple (or none) and the same difference, and the second one saw everything that the target of the first
 * may have held. Transactions applied by then have ids below the first check's horizon. So either all of these had ended, or the tuple is untouched, even
 * by a transaction in mid commit. In both cases the first target read belonged to this tuple, and was wrong. The tuple's xmax proves nothing else: it may
 * be the id of a subtransaction, or name several transactions.
 *
 * Without a tuple, a row may have come and gone between the checks. That would have touched its rows in the target; if there are any, unchanged physical
 * versions prove that it did not happen.
 */
export function judge(before: Look | null, now: Look, alike: number): { verdict: Verdict; alike: number } {
  if (now.difference === '') return { verdict: 'equal', alike: 0 };
  const isAlike = before !== null && before.tuple === now.tuple && before.difference === now.difference;
  if (!isAlike || now.isParked) return { verdict: 'again', alike: 0 };
  const seesAll = now.snapshotXmin > before.horizon || (now.tuple !== null && now.xmax === '0');
  if (!seesAll) return { verdict: 'again', alike };
  const needed = now.tuple !== null || now.isTouchable ? 1 : ALIKE_WITHOUT_PROOF;
  return { verdict: alike + 1 >= needed ? 'different' : 'again', alike: alike + 1 };
}

/** Checks of a row before it counts as unsettled. */
export const MOST_LOOKS = 14;
const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 5000;

/** Pause before the next check, given the number of checks so far. Half a minute in total. */
export function pauseAfter(looks: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (looks - 1));
}
