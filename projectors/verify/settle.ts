/** One look at a legacy row and at what is under its key in the target, which was read after everything that the legacy database showed had been applied. */
export interface Look {
  /** The legacy tuple: its xmin; null where there is no row. */
  readonly tuple: string | null;
  /** Its xmax as stored; '0' where nobody has touched it. */
  readonly xmax: string;
  /** Transactions below this one had ended, and are visible, when the legacy row was read. */
  readonly snapshotXmin: bigint;
  /** A transaction id assigned after the target read: whatever was applied by then has a lesser one. */
  readonly horizon: bigint;
  /** What differs, as text; '' where nothing does. Without a tuple it names the physical version of every row that was found. */
  readonly difference: string;
  /** Whether a row was found that every change of the key would have written or locked. */
  readonly isTouchable: boolean;
  /** Whether a change of this legacy row waits for its cause. */
  readonly isParked: boolean;
}

export type Verdict = 'equal' | 'different' | 'again';

/** Looks in a row that must agree where nothing rules out that a row comes and goes between them. */
const ALIKE_WITHOUT_PROOF = 8;

/**
 * Whether a look settles it; `alike`: looks before this one that agreed with each other and were certain. A difference by itself means little: a change is applied before it is visible,
 * so that the target may be ahead of what was read.
 *
 * It counts where two looks saw the same tuple (or none) and the same difference, and the second one was certain to see everything that the target of the first one may have held:
 * a transaction that was applied by then has an id below the first look's horizon, so either all of these had ended, or nobody has touched the tuple, not even a transaction in mid commit.
 * The tuple's xmax itself proves nothing else: it may be a subtransaction's, or name several transactions. Then the first target read belonged to that very tuple, and was wrong.
 * Without a tuple a row may have come and gone between the looks, which would have touched its rows in the target: where such are found, their physical versions tell that it did not.
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

/** Looks at a row before it counts as unsettled. */
export const MOST_LOOKS = 14;
const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 5000;

/** How long to wait before the next look, after so many: half a minute in all. */
export function pauseAfter(looks: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (looks - 1));
}
