const LSN_TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;
const MAX_LSN = 0xffff_ffff_ffff_ffffn;

/** Parses the position `16/B374D848` into a number of bytes. Throws for any other format. */
export function parseLsn(text: string): bigint {
  const match = LSN_TEXT.exec(text);
  if (match === null) throw new Error(`not a log sequence number: ${JSON.stringify(text.slice(0, 40))}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** PostgreSQL's text of a position, `16/B374D848`; not padded, so never compare two of them as text. */
export function toLsnText(lsn: bigint): string {
  if (lsn < 0n || lsn > MAX_LSN) throw new Error(`log sequence number out of range: ${lsn}`);
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}
