/**
 * A PostgreSQL snapshot (`pg_current_snapshot()`): transactions below `xmin` have ended, those at or past `xmax` had
 * not begun.
 */
export interface TransactionSnapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly inProgress: ReadonlySet<bigint>;
}

/** Parses `xmin:xmax:xip,xip…`. */
export function parseSnapshot(text: string): TransactionSnapshot {
  const [xmin, xmax, xip] = text.split(':');
  if (xmin === undefined || xmax === undefined || xip === undefined) throw new Error(`not a snapshot: ${text}`);
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), inProgress: new Set(xip === '' ? [] : xip.split(',').map(BigInt)) };
}

/** The snapshot carried by a marker or heartbeat in the stream; null if it carries none. */
export function toCarriedSnapshot(content: string): TransactionSnapshot | null {
  const text = content.slice(content.lastIndexOf(' ') + 1);
  return /^\d+:\d+:[\d,]*$/.test(text) ? parseSnapshot(text) : null;
}

/**
 * Whether a committed transaction is visible. A delivered change may not be: it is streamed before, or while, its
 * commit becomes visible.
 */
export function isVisible(xid: bigint, snapshot: TransactionSnapshot): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.inProgress.has(xid));
}

/** Widens a 32-bit xid from the stream to 64 bits: the value nearest to a 64-bit xid of about the same time. */
export function widenXid(xid: number, near: bigint): bigint {
  const candidate = (near & ~0xffff_ffffn) | BigInt(xid >>> 0);
  if (candidate > near + 0x8000_0000n && candidate >= 0x1_0000_0000n) return candidate - 0x1_0000_0000n;
  return candidate + 0x8000_0000n < near ? candidate + 0x1_0000_0000n : candidate;
}
