/** A PostgreSQL snapshot (`pg_current_snapshot()`): what is below `xmin` has ended, what is at or past `xmax` had not begun. */
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

/** The snapshot that a marker or heartbeat carries in the stream; null where it carries none. */
export function toCarriedSnapshot(content: string): TransactionSnapshot | null {
  const text = content.slice(content.lastIndexOf(' ') + 1);
  return /^\d+:\d+:[\d,]*$/.test(text) ? parseSnapshot(text) : null;
}

/** Whether a committed transaction is visible. A delivered change need not be: it is streamed before, or while, its commit becomes visible. */
export function isVisible(xid: bigint, snapshot: TransactionSnapshot): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.inProgress.has(xid));
}

/** The 64-bit xid of a 32-bit one from the stream, nearest to a 64-bit xid of the same time. */
export function widenXid(xid: number, near: bigint): bigint {
  const candidate = (near & ~0xffff_ffffn) | BigInt(xid >>> 0);
  if (candidate > near + 0x8000_0000n && candidate >= 0x1_0000_0000n) return candidate - 0x1_0000_0000n;
  return candidate + 0x8000_0000n < near ? candidate + 0x1_0000_0000n : candidate;
}
