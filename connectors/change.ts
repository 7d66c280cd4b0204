import { type RowMessage, type TooLarge, type TupleText, UNCHANGED } from './pgoutput.ts';
import { toLeastBytes } from './row-bytes.ts';

/** A column as the stream describes it. A domain has an oid of its own, so its values travel as text. */
export type Column = {
  readonly name: string;
  readonly typeOid: number;
  readonly typeName: string;
  readonly typeModifier: number;
  readonly notNull?: boolean;
};

/** A captured table. `key` is its primary key in key order, from the catalog: with FULL every column is flagged. */
export type Relation = {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  /** For each key column, the schema of the operators that make the primary key's order; pg_catalog unless said. */
  readonly keyOperatorSchemas?: readonly string[];
  /** Its rows are in its partitions, and are published as its own. */
  readonly isPartitioned?: boolean;
};

/** The cells of a row in the order of the relation's columns: PostgreSQL's text or SQL null. */
export type Cells = readonly (string | null)[];

/** c: insert, u: update, d: delete, r: read by a snapshot. */
export type ChangeOp = 'c' | 'u' | 'd' | 'r';

/** Where a change stands. Order and identity are (commitLsn, ordinal); `lsn` orders nothing. Micros since 1970. */
export type ChangePlace = {
  readonly commitLsn: bigint;
  readonly lsn: bigint;
  readonly ordinal: number;
  readonly xid: number | null;
  readonly commitMicros: bigint;
};

export type Change = ChangePlace & {
  readonly relation: Relation;
  readonly op: ChangeOp;
  readonly before: Cells | null;
  readonly after: Cells | null;
  /** Bytes of a new row with a cell that fits into no topic: `after` is there for its key alone. */
  readonly tooLarge?: number;
  /** The old row of a delete has such a cell: `before` is there for its key alone. */
  readonly isKeyOnly?: true;
};

/**
 * The changes one row message stands for: one, or two when an update moves the row to another primary key (delete of
 * the old key, then create of the new one). The first has `place.ordinal`, the second the next; whatever follows in
 * the transaction continues at `place.ordinal + result.length`, so no ordinal is used twice or left out.
 * `before` of a key-only old row holds null for the columns that were not sent. An old row with a cell that is too large is left out.
 * Throws when a value was not sent and cannot be found, or when the row does not fit the relation.
 */
export function toChanges(message: RowMessage, relation: Relation, place: ChangePlace): Change[] {
  switch (message.kind) {
    case 'insert':
      return [toChange(relation, place, 'c', null, complete(relation, message.after, null))];
    case 'delete':
      return [toChange(relation, place, 'd', complete(relation, message.before, null), null)];
    case 'update': {
      const before = message.before === null ? null : complete(relation, message.before, null);
      const after = complete(relation, message.after, message.beforeIsKeyOnly ? null : before);
      if (before === null || !keyDiffers(relation, before, after)) {
        return [toChange(relation, place, 'u', before, after)];
      }
      const next = { ...place, ordinal: place.ordinal + 1 };
      return [toChange(relation, place, 'd', before, null), toChange(relation, next, 'c', null, after)];
    }
  }
}

/** Positions of the primary key's columns, in key order. Throws when the relation lacks one of them. */
export function keyPositions(relation: Relation): readonly number[] {
  let positions = positionsByRelation.get(relation);
  if (positions === undefined) {
    positions = relation.key.map((name) => {
      const position = relation.columns.findIndex((column) => column.name === name);
      if (position === -1) throw new Error(`${nameOf(relation)}: primary key column "${name}" is not published`);
      return position;
    });
    positionsByRelation.set(relation, positions);
  }
  return positions;
}

const positionsByRelation = new WeakMap<Relation, readonly number[]>();

function toChange(
  relation: Relation,
  place: ChangePlace,
  op: ChangeOp,
  before: SentCells | null,
  after: SentCells | null,
): Change {
  const { commitLsn, lsn, ordinal, xid, commitMicros } = place;
  const isCut = before !== null && !isWhole(before);
  const change = {
    ...{ relation, op, before: isCut ? null : (before as Cells | null), after: after as Cells | null },
    ...{ commitLsn, lsn, ordinal, xid, commitMicros },
  };
  if (after !== null && !isWhole(after))
    return { ...change, after: after.map(toText), tooLarge: toLeastBytes(relation, after) };
  return isCut && after === null ? { ...change, before: before.map(toText), isKeyOnly: true } : change;
}

/** The cells of a row, of which some were too large to be read. */
type SentCells = readonly (string | null | TooLarge)[];

function toText(cell: string | null | TooLarge): string | null {
  return typeof cell === 'object' ? null : cell;
}

function isWhole(cells: SentCells): cells is Cells {
  for (const cell of cells) if (typeof cell === 'object' && cell !== null) return false;
  return true;
}

function complete(relation: Relation, tuple: TupleText, before: SentCells | null): SentCells {
  const { columns } = relation;
  if (tuple.length !== columns.length) {
    throw new Error(
      `${nameOf(relation)}: a row of ${tuple.length} cells for ${columns.length} columns; read the table's definition again`,
    );
  }
  if (!tuple.includes(UNCHANGED)) return tuple as SentCells;
  return tuple.map((cell, index) => {
    if (cell !== UNCHANGED) return cell;
    if (before === null) {
      throw new Error(
        `${nameOf(relation)}: the value of "${columns[index]!.name}" was not sent; run ALTER TABLE ... REPLICA IDENTITY FULL, then snapshot the table again`,
      );
    }
    return before[index]!;
  });
}

function keyDiffers(relation: Relation, before: SentCells, after: SentCells): boolean {
  for (const position of keyPositions(relation)) if (before[position] !== after[position]) return true;
  return false;
}

function nameOf(relation: Relation): string {
  return `${relation.schema}.${relation.table}`;
}
