import { toLsnText } from '../changes/lsn.ts';
import type { TransactionContext } from '../changes/transaction-context.ts';
import type { LegacyRow } from '../projectors/projection.ts';
import { type SourceChange, toLegacyKey, toTimestampText } from '../projectors/source-change.ts';
import { fault, show } from './fault.ts';

/** Key columns by legacy table, in the order of its primary key. The default is `id`. */
export type Keys = Readonly<Record<string, readonly string[]>>;

/** Realistic example rows by legacy table. */
export type Examples = Readonly<Record<string, readonly LegacyRow[]>>;

/** The value of a single key column, or the values of several in the order of `Keys`. */
export type Key = string | readonly string[];

/** A change committed in its own legacy transaction, at `at`: PostgreSQL text, UTC. `context`: the author of the change, if the application provides it. */
export type LegacyChange = {
  readonly table: string;
  readonly at?: string | undefined;
  readonly context?: TransactionContext;
} & (
  | { readonly op: 'insert'; readonly row: LegacyRow }
  | { readonly op: 'update'; readonly key: Key; readonly cells: LegacyRow }
  | { readonly op: 'remove'; readonly key: Key }
);

/** An insert of a legacy row. Omitted columns are null. */
export function insert(table: string, row: LegacyRow, at?: string): LegacyChange {
  return { op: 'insert', table, row, at };
}

/** An update of cells of a legacy row. An update of a key cell is a delete and an insert in the log. */
export function update(table: string, key: Key, cells: LegacyRow, at?: string): LegacyChange {
  return { op: 'update', table, key, cells, at };
}

/** A delete of a legacy row. */
export function remove(table: string, key: Key, at?: string): LegacyChange {
  return { op: 'remove', table, key, at };
}

/** A change as projections see it, with its legacy table. */
export type Committed = SourceChange & { readonly table: string };

/** Time of the first row of a test in microseconds since 1970: 2024-01-01, UTC. */
const START = 1_704_067_200_000_000n;
const SECOND = 1_000_000n;

/** Legacy tables in memory. They produce the changes that the log would contain. Change n commits n seconds after 2024-01-01 00:00:00+00, unless it specifies a time. */
export class LegacyTables {
  readonly #keys: Keys;
  readonly #sources: ReadonlySet<string>;
  readonly #rows = new Map<string, LegacyRow>();
  #offset = 0n;
  #seconds = 0n;

  constructor(sources: Iterable<string>, keys: Keys = {}) {
    this.#sources = new Set(sources);
    this.#keys = keys;
  }

  /** A row that exists before the first change, as the initial load reads it. */
  read(table: string, row: LegacyRow): Committed {
    const legacyKey = this.keyOf(table, row);
    this.#put(table, legacyKey, row);
    return this.#commit(table, 'r', legacyKey, null, row, toTimestampText(START), 0);
  }

  /** Makes a change. Throws if its row does not exist, or already exists. */
  change(change: LegacyChange): Committed[] {
    const { context } = change;
    const committed = this.#change(change);
    return context === undefined ? committed : committed.map((each) => ({ ...each, context }));
  }

  #change(change: LegacyChange): Committed[] {
    const { table } = change;
    this.#seconds++;
    const at = change.at ?? toTimestampText(START + this.#seconds * SECOND);
    if (change.op === 'insert') {
      const legacyKey = this.keyOf(table, change.row);
      this.#put(table, legacyKey, change.row);
      return [this.#commit(table, 'c', legacyKey, null, change.row, at, 0)];
    }
    const legacyKey = this.#textOf(table, change.key);
    const before = this.#take(table, legacyKey);
    const gone = () => this.#commit(table, 'd', legacyKey, before, null, at, 0);
    if (change.op === 'remove') return [gone()];
    const after = { ...before, ...change.cells };
    const newKey = this.keyOf(table, after);
    this.#put(table, newKey, after);
    if (newKey === legacyKey) return [this.#commit(table, 'u', legacyKey, before, after, at, 0)];
    return [gone(), this.#commit(table, 'c', newKey, null, after, at, 1)];
  }

  /** Whether a row with this key exists, as returned by `keyOf`. */
  has(table: string, legacyKey: string): boolean {
    return this.#rows.has(`${table}\0${legacyKey}`);
  }

  /** The legacy key of a row. Throws if one of its cells is null. */
  keyOf(table: string, row: LegacyRow): string {
    return this.#textOf(
      table,
      this.columnsOf(table).map((column) => {
        const cell = row[column];
        if (typeof cell === 'string') return cell;
        throw fault(`a row of ${table} has no ${column}, which is of its key; \`keys\` names other key columns`);
      }),
    );
  }

  /** The key columns of a table. */
  columnsOf(table: string): readonly string[] {
    this.#assertRead(table);
    return this.#keys[table] ?? ['id'];
  }

  #textOf(table: string, key: Key): string {
    const columns = this.columnsOf(table);
    const values = typeof key === 'string' ? [key] : key;
    if (values.length !== columns.length)
      throw fault(`a key of ${table} has the columns ${columns.join(', ')}: ${values.length} values are not one`);
    return toLegacyKey(Object.fromEntries(columns.map((column, index) => [column, values[index]!])));
  }

  #assertRead(table: string): void {
    if (this.#sources.has(table)) return;
    throw fault(`no projection reads the legacy table ${table}; they read ${[...this.#sources].join(', ')}`);
  }

  #put(table: string, legacyKey: string, row: LegacyRow): void {
    for (const [column, cell] of Object.entries(row)) {
      if (cell !== null && typeof cell !== 'string')
        throw fault(`${table}.${column} is a ${typeof cell}: cells are PostgreSQL's texts, or null`);
    }
    if (this.has(table, legacyKey)) throw fault(`${table} has a row ${show(legacyKey)} already`);
    this.#rows.set(`${table}\0${legacyKey}`, row);
  }

  #take(table: string, legacyKey: string): LegacyRow {
    const row = this.#rows.get(`${table}\0${legacyKey}`);
    if (row === undefined) throw fault(`${table} has no row ${show(legacyKey)}`);
    this.#rows.delete(`${table}\0${legacyKey}`);
    return row;
  }

  #commit(
    table: string,
    op: SourceChange['op'],
    legacyKey: string,
    before: LegacyRow | null,
    after: LegacyRow | null,
    committedAt: string,
    ordinal: number,
  ): Committed {
    const offset = this.#offset++;
    // A change of a key is two events in one transaction.
    const lsn = toLsnText((offset + 1n - BigInt(ordinal)) * 16n);
    return {
      ...{ table, op, legacyKey, before, after, repair: null },
      identity: `1/${lsn}/${ordinal}`,
      lineage: { lsn, xid: String(offset + 1n - BigInt(ordinal)), committedAt },
      record: { topic: table, partition: 0, offset, key: Buffer.alloc(0), value: Buffer.alloc(0) },
    };
  }
}
