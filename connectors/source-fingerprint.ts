/**
 * Catalog marks that reveal changes of data without an event, as of one check. Stored with the position, so that a
 * change made while no connector ran is found by the next check. Holds no cell value.
 */
export interface SourceFingerprint {
  /** oid and xmin of the publication: another xmin means an ALTER, even if it was undone. */
  readonly publication: string;
  readonly tables: Readonly<Record<string, TableFingerprint>>;
}

export interface TableFingerprint {
  readonly oid: string;
  /** relfilenode: another one means a rewrite or a TRUNCATE. */
  readonly file: string;
  /** Memberships in the publication, by their oids. */
  readonly published: readonly string[];
  /** Numbers of the primary key's columns. */
  readonly key: string;
  /**
   * By column number: type and xmin of the column's catalog row, plus `*` if rows have a value that was never written
   * (attmissingval); `-` if it was dropped.
   */
  readonly columns: string;
  /** Oid of the primary key's constraint: another one was recreated, and may have been deferrable meanwhile. */
  readonly keyMark?: string;
  /**
   * Oid of the TOAST table, 0 if there is none: VACUUM FULL, CLUSTER and TRUNCATE keep it, SET UNLOGGED and SET LOGGED
   * do not.
   */
  readonly toast?: string;
  /** Names by column number, from 1; empty if the column was dropped. */
  readonly names?: readonly string[];
  /** Names of columns that earlier checks saw and that no longer exist. */
  readonly gone?: readonly string[];
  /**
   * Of a partitioned table, by oid of each partition: relfilenode, number of columns with a missing value, xmin of its
   * membership, and the numbers of these columns; `+` if it was created as a partition, `~` if it has a new file since.
   */
  readonly partitions?: Readonly<Record<string, string>>;
  /** Of enum types in columns, at any depth: each label by its oid. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Of composite types in columns, at any depth: attribute types by the oid of the type. */
  readonly composites?: Readonly<Record<string, string>>;
}

/** A change that sent no event, or that may have lost some. */
export interface SilentChange {
  readonly table: string;
  readonly what: string;
  /**
   * `read`: reading the table again brings every existing row. `vanished`: the same, but rows may be gone without a
   * delete event. `anew`: only starting a new log helps.
   */
  readonly heals: 'read' | 'vanished' | 'anew';
}

/** Oids below this are PostgreSQL's own: the output of these types never changes. */
export const FIRST_OWN_OID = 16_384;

/** text and varchar: PostgreSQL converts between them without rewriting. */
const TEXTS = new Set(['25', '1043']);

/** Changes between two checks that the log does not show. `nameOf`: a column's name by table and number. */
export function findSilentChanges(
  before: SourceFingerprint,
  now: SourceFingerprint,
  nameOf: (table: string, column: number) => string,
): SilentChange[] {
  const publication = findPublicationChange(before.publication, now.publication);
  return Object.entries(now.tables).flatMap(([table, tableNow]) => {
    const tableBefore = before.tables[table];
    // Not captured before: it is loaded from the beginning.
    if (tableBefore === undefined) return [];
    if (tableBefore.oid !== tableNow.oid)
      return [{ table, what: 'the table was replaced by another one', heals: 'vanished' as const }];
    if (tableBefore.key !== tableNow.key)
      return [{ table, what: 'its primary key has other columns', heals: 'anew' as const }];
    const changes: SilentChange[] = [];
    const add = (what: string, heals: SilentChange['heals']) => changes.push({ table, what, heals });
    if (publication !== null) add(publication, 'vanished');
    else if (!tableBefore.published.some((membership) => tableNow.published.includes(membership)))
      add('it was taken out of the publication and put back, or its row filter changed', 'vanished');
    if (isOther(tableBefore.keyMark, tableNow.keyMark))
      add(
        'its primary key was made again, and one that can be deferred lets two rows have one key for a moment',
        'vanished',
      );
    const columnChanges = findColumnChanges(tableBefore, tableNow, (column) => nameOf(table, column));
    for (const { what, columns } of columnChanges) add(what, touchesKey(tableNow, columns) ? 'vanished' : 'read');
    if (columnChanges.length === 0 && mayHaveBeenUnlogged(tableBefore, tableNow))
      add(
        'it was rewritten, as SET UNLOGGED and SET LOGGED do: changes in between would have left no trace',
        'vanished',
      );
    for (const change of findPartitionChanges(tableBefore.partitions ?? {}, tableNow.partitions ?? {}))
      add(change.what, change.heals);
    const labels = tableNow.labels ?? {};
    if (Object.entries(tableBefore.labels ?? {}).some(([oid, label]) => (labels[oid] ?? label) !== label))
      add('a label of one of its enum types was renamed', ofOwnTypes(tableNow));
    const composites = tableNow.composites ?? {};
    if (
      Object.entries(tableBefore.composites ?? {}).some(
        ([oid, attributes]) => (composites[oid] ?? attributes) !== attributes,
      )
    )
      add('the attributes of one of its composite types changed', ofOwnTypes(tableNow));
    return changes;
  });
}

function findPublicationChange(before: string, now: string): string | null {
  if (before === now) return null;
  return before.split(':')[0] === now.split(':')[0]
    ? 'the publication was altered'
    : 'the publication was dropped and created again';
}

/** Only compares marks that both checks have. */
function isOther(before: string | undefined, now: string | undefined): boolean {
  return before !== undefined && now !== undefined && before !== now;
}

/**
 * PostgreSQL refuses SET UNLOGGED only for a table that a publication names. For a table without TOAST, nothing
 * distinguishes it from VACUUM FULL.
 */
function mayHaveBeenUnlogged(before: TableFingerprint, now: TableFingerprint): boolean {
  if (before.toast === undefined || before.file === now.file) return false;
  const isNamed = now.published.some((membership) => membership.startsWith('table '));
  return !isNamed && (before.toast !== now.toast || now.toast === '0');
}

interface ColumnMark {
  readonly type: string;
  readonly mark: string;
  readonly isMissing: boolean;
}

/** By column number, from 1; null if the column was dropped. */
function parseColumns(columns: string): (ColumnMark | null)[] {
  return columns.split(' ').map((text) => {
    if (text === '-') return null;
    const [type, mark] = text.replace('*', '').split(':');
    return { type: type!, mark: mark!, isMissing: text.endsWith('*') };
  });
}

function findColumnChanges(
  before: TableFingerprint,
  now: TableFingerprint,
  nameOf: (column: number) => string,
): { what: string; columns: readonly number[] }[] {
  const columnsBefore = parseColumns(before.columns);
  const columns = parseColumns(now.columns);
  const found: { what: string; columns: readonly number[] }[] = [];
  const add = (what: string, of: readonly number[]) => found.push({ what, columns: of });
  const list = (indexes: readonly number[]) => indexes.map((index) => nameOf(index + 1)).join(', ');
  const indexes = columns.flatMap((column, index) => (column === null ? [] : [index]));
  const isOld = (index: number) => index < columnsBefore.length;
  const filled = indexes.filter((index) => !isOld(index) && columns[index]!.isMissing);
  const moved = findMovedNames(before, now);
  if (moved.length > 0) add(`names of its columns stand for other columns than before (${list(moved)})`, moved);
  if (filled.length > 0) add(`rows were given a value in new columns (${list(filled)})`, filled);
  const retyped = indexes.filter(
    (index) => isOld(index) && !isSameText(columnsBefore[index]!.type, columns[index]!.type),
  );
  if (retyped.length > 0) add(`columns have another type (${list(retyped)})`, retyped);
  // TRUNCATE, VACUUM FULL and CLUSTER also create a new file, but leave the columns unchanged. TRUNCATE sends an event,
  // the others change no data.
  const rewritten = indexes.filter((index) => !isOld(index) || columnsBefore[index]!.mark !== columns[index]!.mark);
  const unsaid = rewritten.filter((index) => !filled.includes(index) && !retyped.includes(index));
  // A rewrite materializes missing values, which changes those columns too and cannot be distinguished from another
  // change of them.
  const others = unsaid.filter((index) => !isOld(index) || !columnsBefore[index]?.isMissing);
  const suspects = others.length > 0 ? others : unsaid;
  if (before.file !== now.file && suspects.length > 0)
    add(`the table was rewritten and columns changed (${list(suspects)})`, suspects);
  return found;
}

/**
 * Columns with a name that another column had, or that is back: under this name, rows not written since hold the old
 * column's cell, or none. A column that was added and dropped between two checks may have had any name, even that of a
 * column added after it.
 */
function findMovedNames(before: TableFingerprint, now: TableFingerprint): number[] {
  const gone = new Set(before.gone ?? []);
  const known = before.names?.length ?? Number.POSITIVE_INFINITY;
  const unseen = (now.names ?? []).findIndex((name, index) => name === '' && index >= known);
  return (now.names ?? []).flatMap((name, index) => {
    if (name === '') return [];
    const place = before.names?.indexOf(name) ?? -1;
    const isSuspect = unseen !== -1 && index > unseen;
    return isSuspect || (place === -1 ? gone.has(name) : place !== index) ? [index] : [];
  });
}

/**
 * Whether columns, by index, are part of the key. Rows whose key text changed are different rows in the log: the old
 * ones stay.
 */
function touchesKey({ key }: TableFingerprint, columns: readonly number[]): boolean {
  const numbers = key.split(' ').map(Number);
  return columns.some((index) => numbers.includes(index + 1));
}

/** How far reading a table again heals a change of its user-defined types: not fully if its key has such types. */
function ofOwnTypes(table: TableFingerprint): SilentChange['heals'] {
  const own = parseColumns(table.columns).flatMap((column, index) =>
    column !== null && Number(column.type) >= FIRST_OWN_OID ? [index] : [],
  );
  return touchesKey(table, own) ? 'vanished' : 'read';
}

function isSameText(before: string, now: string): boolean {
  return before === now || (TEXTS.has(before) && TEXTS.has(now));
}

function findPartitionChanges(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): { what: string; heals: 'read' | 'vanished' }[] {
  const parse = (text: string) => {
    const [file, count, member, missing] = text.replace(/[+~]$/, '').split(':');
    return { file, count: Number(count), member, missing: missing?.split('.') };
  };
  const found: { what: string; heals: 'read' | 'vanished' }[] = [];
  const added = Object.entries(now).flatMap(([oid, text]) => (before[oid] === undefined ? [text.at(-1)] : []));
  if (added.some((mark) => mark !== '+' && mark !== '~'))
    found.push({ what: 'a partition was attached', heals: 'read' });
  if (added.includes('~')) found.push({ what: 'a partition was made, and truncated or rewritten', heals: 'vanished' });
  if (Object.keys(before).some((oid) => now[oid] === undefined))
    found.push({ what: 'a partition was detached or dropped', heals: 'vanished' });
  const both = Object.entries(now).flatMap(([oid, text]) =>
    before[oid] === undefined ? [] : [{ old: parse(before[oid]), new: parse(text) }],
  );
  // A TRUNCATE of one partition sends no event; a VACUUM FULL of it looks the same.
  if (both.some((pair) => pair.old.file !== pair.new.file))
    found.push({ what: 'a partition was truncated or rewritten', heals: 'vanished' });
  if (both.some((pair) => isOther(pair.old.member, pair.new.member)))
    found.push({ what: 'a partition was detached and attached again', heals: 'vanished' });
  const isFilled = ({ old, new: { count, missing } }: (typeof both)[number]) =>
    old.missing === undefined || missing === undefined
      ? count > old.count
      : missing.some((column) => column !== '' && !old.missing!.includes(column));
  if (both.some(isFilled)) found.push({ what: 'rows of partitions were given a value in new columns', heals: 'read' });
  return found;
}
