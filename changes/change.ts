import { CrosswalkError } from '../runtime/errors.ts';
import type { RowMessage } from './pgoutput.ts';
import { toLeastBytes } from './row-bytes.ts';
import { SentRow } from './sent-row.ts';

/** A column as the stream describes it. A domain has its own oid, so its values travel as text. */
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
  /** For each key column, the schema of the operators that define the primary key's order; pg_catalog if missing. */
  readonly keyOperatorSchemas?: readonly string[];
  /** Its rows are in partitions and are published as its own. */
  readonly isPartitioned?: boolean;
};

/** The cells of a row in the order of the relation's columns: PostgreSQL's text or SQL null. */
export type Cells = readonly (string | null)[];

/** A row that was read from its table, or one from the stream without any cell that has no text and is not null. */
export type Row = Cells | SentRow;

/** A cell of a row: PostgreSQL's text, or SQL null. */
export function cellOf(row: Row, position: number): string | null {
  return row instanceof SentRow ? row.text(position) : row[position]!;
}

/** c: insert, u: update, d: delete, r: read by a snapshot. */
export type ChangeOp = 'c' | 'u' | 'd' | 'r';

/**
 * The place of a change. Order and identity are (commitLsn, ordinal); `lsn` orders nothing. Microseconds since 1970.
 */
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
  readonly before: Row | null;
  readonly after: Row | null;
  /** Bytes of a new row with a cell too large for any topic: `after` holds only its key. */
  readonly tooLarge?: number | undefined;
  /** Only the key of the old row is known, was sent, or fits into a topic: `before` holds only its key. */
  readonly isKeyOnly?: boolean | undefined;
};

/**
 * The changes of one row message: one, or two if an update moves the row to another primary key (delete of the old key,
 * then create of the new one). The first has `place.ordinal`, the second the next; later changes of the transaction
 * continue at `place.ordinal + result.length`, so no ordinal is used twice or skipped. `before` of a key-only old row
 * holds null for the columns that were not sent. An old row with a cell that is too large is left out. Throws
 * `row_incomplete` if a value was not sent and cannot be found, and an Error if the row does not fit the relation.
 */
export function toChanges(message: RowMessage, relation: Relation, place: ChangePlace): Change[] {
  switch (message.kind) {
    case 'insert':
      return [toChange(relation, place, place.ordinal, 'c', null, complete(relation, message.after, null), false)];
    case 'delete': {
      const before = complete(relation, message.before, null);
      return [toChange(relation, place, place.ordinal, 'd', before, null, message.beforeIsKeyOnly)];
    }
    case 'update': {
      const before = message.before === null ? null : complete(relation, message.before, null);
      const after = complete(relation, message.after, message.beforeIsKeyOnly ? null : before);
      if (before === null || !keyDiffers(relation, before, after)) {
        return [toChange(relation, place, place.ordinal, 'u', before, after, false)];
      }
      return [
        toChange(relation, place, place.ordinal, 'd', before, null, message.beforeIsKeyOnly),
        toChange(relation, place, place.ordinal + 1, 'c', null, after, false),
      ];
    }
  }
}

/**
 * The certain part of a message that cannot be published completely: the row left a key, which no later read of the
 * table shows. `positions`: those of the relation's key in the message, whose other columns may differ from the
 * relation's.
 */
export function toSureChanges(
  message: RowMessage,
  relation: Relation,
  place: ChangePlace,
  positions = keyPositions(relation),
): Change[] {
  if (message.kind === 'insert' || message.before === null) return [];
  const { before } = message;
  const isLeft =
    message.kind === 'delete' ||
    positions.some((position) => !message.after.isUnchanged(position) && !message.after.isSame(position, before));
  if (!isLeft || positions.some((position) => before.text(position) === null)) return [];
  const row = before.pick(relation.columns.map(({ name }) => positions[relation.key.indexOf(name)] ?? -1));
  return [toChange(relation, place, place.ordinal, 'd', row, null, true)];
}

/** Positions of the primary key's columns, in key order. Throws if the relation lacks one of them. */
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
  ordinal: number,
  op: ChangeOp,
  before: SentRow | null,
  after: SentRow | null,
  isKeyOnly: boolean,
): Change {
  assertKeyed(relation, (after ?? before)!);
  const isCut = before !== null && !before.isPlain;
  const isAfterCut = after !== null && !after.isPlain;
  const isDelete = after === null;
  return {
    relation,
    op,
    before: isCut ? (isDelete ? before.withoutTooLarge() : null) : before,
    after: isAfterCut ? after.withoutTooLarge() : after,
    tooLarge: isAfterCut ? toLeastBytes(relation, after) : undefined,
    isKeyOnly: isKeyOnly || (isCut && isDelete) ? true : undefined,
    commitLsn: place.commitLsn,
    lsn: place.lsn,
    ordinal,
    xid: place.xid,
    commitMicros: place.commitMicros,
  };
}

function complete(relation: Relation, row: SentRow, before: SentRow | null): SentRow {
  const { columns } = relation;
  if (row.length !== columns.length) {
    throw new Error(
      `${nameOf(relation)}: a row of ${row.length} cells for ${columns.length} columns; read the table's definition again`,
    );
  }
  if (row.isPlain) return row;
  if (before !== null) return row.completedFrom(before);
  const unsent = columns.find((_, position) => row.isUnchanged(position));
  if (unsent === undefined) return row;
  throw new CrosswalkError(
    'row_incomplete.table',
    `${nameOf(relation)}: an update did not send the value of "${unsent.name}": the table, or the partition that holds the row, was not REPLICA IDENTITY FULL`,
    { table: relation.table },
  );
}

/** Throws if a message does not identify its row: its old row was sent with a key other than the primary key. */
function assertKeyed(relation: Relation, row: SentRow): void {
  let isKeyed = true;
  for (const position of keyPositions(relation)) if (row.isNull(position)) isKeyed = false;
  if (isKeyed) return;
  throw new CrosswalkError(
    'row_incomplete.table',
    `${nameOf(relation)}: a change was sent without the primary key: the table, or the partition that holds the row, was not REPLICA IDENTITY FULL`,
    { table: relation.table },
  );
}

function keyDiffers(relation: Relation, before: SentRow, after: SentRow): boolean {
  for (const position of keyPositions(relation)) if (!before.isSame(position, after)) return true;
  return false;
}

function nameOf(relation: Relation): string {
  return `${relation.schema}.${relation.table}`;
}
