import { CrosswalkError } from '../runtime/errors.ts';
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
  /** Of the old row only the key is known, was sent, or fits into a topic: `before` is there for its key alone. */
  readonly isKeyOnly?: boolean;
};

/**
 * The changes one row message stands for: one, or two when an update moves the row to another primary key (delete of
 * the old key, then create of the new one). The first has `place.ordinal`, the second the next; whatever follows in
 * the transaction continues at `place.ordinal + result.length`, so no ordinal is used twice or left out.
 * `before` of a key-only old row holds null for the columns that were not sent. An old row with a cell that is too large is left out.
 * Throws `row_incomplete` when a value was not sent and cannot be found, and an Error when the row does not fit the relation.
 */
export function toChanges(message: RowMessage, relation: Relation, place: ChangePlace): Change[] {
  switch (message.kind) {
    case 'insert':
      return [toChange(relation, place, 'c', null, complete(relation, message.after, null))];
    case 'delete':
      return [withKeyOnly(message, toChange(relation, place, 'd', complete(relation, message.before, null), null))];
    case 'update': {
      const before = message.before === null ? null : complete(relation, message.before, null);
      const after = complete(relation, message.after, message.beforeIsKeyOnly ? null : before);
      if (before === null || !keyDiffers(relation, before, after)) {
        return [toChange(relation, place, 'u', before, after)];
      }
      const next = { ...place, ordinal: place.ordinal + 1 };
      return [
        withKeyOnly(message, toChange(relation, place, 'd', before, null)),
        toChange(relation, next, 'c', null, after),
      ];
    }
  }
}

/**
 * What is sure of a message that cannot be told whole: the row left a key, and no reading of the table shows that. `positions`: of the relation's key in the message, whose other columns
 * may be others than the relation's.
 */
export function toSureChanges(
  message: RowMessage,
  relation: Relation,
  place: ChangePlace,
  positions = keyPositions(relation),
): Change[] {
  if (message.kind === 'insert' || message.before === null) return [];
  const { before } = message;
  const key = positions.map((position) => before[position]);
  const isLeft =
    message.kind === 'delete' ||
    positions.some((position) => message.after[position] !== UNCHANGED && message.after[position] !== before[position]);
  if (!isLeft || key.some((cell) => typeof cell !== 'string')) return [];
  const cells = relation.columns.map(({ name }) => (key[relation.key.indexOf(name)] as string | undefined) ?? null);
  return [{ ...toChange(relation, place, 'd', cells, null), isKeyOnly: true }];
}

function withKeyOnly({ beforeIsKeyOnly }: { readonly beforeIsKeyOnly: boolean }, change: Change): Change {
  return beforeIsKeyOnly ? { ...change, isKeyOnly: true } : change;
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
  assertKeyed(relation, (after ?? before)!);
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
      throw new CrosswalkError(
        'row_incomplete',
        `${nameOf(relation)}: an update did not send the value of "${columns[index]!.name}": the table, or the partition that holds the row, was not REPLICA IDENTITY FULL`,
        toIncompleteRemedy(relation),
      );
    }
    return before[index]!;
  });
}

/** Throws where a message does not say which row it is about: its old row was sent by another key than the primary key. */
function assertKeyed(relation: Relation, cells: SentCells): void {
  if (keyPositions(relation).every((position) => cells[position] !== null)) return;
  throw new CrosswalkError(
    'row_incomplete',
    `${nameOf(relation)}: a change was sent without the primary key: the table, or the partition that holds the row, was not REPLICA IDENTITY FULL`,
    toIncompleteRemedy(relation),
  );
}

/** What to do about changes that were not sent whole. */
export const toIncompleteRemedy = ({ table }: Pick<Relation, 'table'>) =>
  `Run \`crosswalk migrate plan\` and what it prints, then \`crosswalk resnapshot ${table}\`, and start the connector: it passes over what cannot be completed, and reads the rows again.`;

function keyDiffers(relation: Relation, before: SentCells, after: SentCells): boolean {
  for (const position of keyPositions(relation)) if (before[position] !== after[position]) return true;
  return false;
}

function nameOf(relation: Relation): string {
  return `${relation.schema}.${relation.table}`;
}
