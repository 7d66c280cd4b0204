/**
 * What tells that data may have changed without an event, as of one look at the catalog. It is stored with the position, so that a change made while nobody
 * looked is found by the next look. Holds no cell value.
 */
export interface SourceFingerprint {
  /** oid and xmin of the publication: another xmin is an ALTER, whatever it was undone with. */
  readonly publication: string;
  readonly tables: Readonly<Record<string, TableFingerprint>>;
}

export interface TableFingerprint {
  readonly oid: string;
  /** relfilenode: another one is a rewrite or a TRUNCATE. */
  readonly file: string;
  /** Memberships in the publication, by their oids. */
  readonly published: readonly string[];
  /** Numbers of the primary key's columns. */
  readonly key: string;
  /** By column number: type and xmin of the column's catalog row, `*` where rows have a value that was never written (attmissingval); `-` where it was dropped. */
  readonly columns: string;
  /** Oid of the primary key's constraint: another one was made again, and may have been deferrable meanwhile. */
  readonly keyMark?: string;
  /** Oid of the TOAST table, 0 where there is none: VACUUM FULL, CLUSTER and TRUNCATE keep it, SET UNLOGGED and SET LOGGED do not. */
  readonly toast?: string;
  /** Names by column number, from 1; empty where the column was dropped. */
  readonly names?: readonly string[];
  /** Names of columns that earlier looks saw, and that are gone. */
  readonly gone?: readonly string[];
  /**
   * Of a partitioned table, by oid of each partition: relfilenode, number of such columns, xmin of its membership, and the columns' numbers; `+` where it was created as a partition,
   * `~` where it has another file since.
   */
  readonly partitions?: Readonly<Record<string, string>>;
  /** Of enum types in columns, however deep: each label by its oid. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Of composite types in columns, however deep: types of the attributes, by the type's oid. */
  readonly composites?: Readonly<Record<string, string>>;
}

/** A change that sent no event, or that may have lost some. */
export interface SilentChange {
  readonly table: string;
  readonly what: string;
  /** `read`: reading the table again brings every row that is there. `vanished`: the same, but rows may be gone that no event has deleted. `anew`: only a new log helps. */
  readonly heals: 'read' | 'vanished' | 'anew';
}

/** Oids below it are PostgreSQL's own: what such a type writes never changes. */
export const FIRST_OWN_OID = 16_384;

/** text and varchar: PostgreSQL converts between them without touching a byte. */
const TEXTS = new Set(['25', '1043']);

/** What happened between two looks that the log does not show. `nameOf`: a column's name by its table and number. */
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

/** Marks that both looks have. */
function isOther(before: string | undefined, now: string | undefined): boolean {
  return before !== undefined && now !== undefined && before !== now;
}

/**
 * PostgreSQL refuses SET UNLOGGED only for a table that a publication names. Of a table without TOAST, nothing tells it from VACUUM FULL.
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

/** By column number, from 1; null where the column was dropped. */
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
  // TRUNCATE, VACUUM FULL and CLUSTER also give a table a new file, and leave its columns alone. The first has an event, the others change nothing.
  const rewritten = indexes.filter((index) => !isOld(index) || columnsBefore[index]!.mark !== columns[index]!.mark);
  const unsaid = rewritten.filter((index) => !filled.includes(index) && !retyped.includes(index));
  // A rewrite writes values that were missing, which changes those columns too, and nothing else tells it from another change of them.
  const others = unsaid.filter((index) => !isOld(index) || !columnsBefore[index]?.isMissing);
  const suspects = others.length > 0 ? others : unsaid;
  if (before.file !== now.file && suspects.length > 0)
    add(`the table was rewritten and columns changed (${list(suspects)})`, suspects);
  return found;
}

/**
 * Columns whose names another column had, or that are back: rows that were not written since have the old column's cell, or none, under them. A column that came and went between two looks
 * may have had any name, also that of one that came after it.
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

/** Whether columns, by index, are part of the key. Rows whose key has another text are other rows to the log: the old ones stay. */
function touchesKey({ key }: TableFingerprint, columns: readonly number[]): boolean {
  const numbers = key.split(' ').map(Number);
  return columns.some((index) => numbers.includes(index + 1));
}

/** What reading a table again heals where types of its own have changed: not its keys, where these have such types. */
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
