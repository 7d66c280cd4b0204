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
  /** Of a partitioned table: relfilenode and number of such columns of each partition by oid; `+` where it was created as a partition. */
  readonly partitions?: Readonly<Record<string, string>>;
  /** Of columns with enum types: each label by its oid. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A change that sent no event, or that may have lost some. */
export interface SilentChange {
  readonly table: string;
  readonly what: string;
  /** `read`: reading the table again brings every row that is there. `vanished`: the same, but rows may be gone that no event has deleted. `anew`: only a new log helps. */
  readonly heals: 'read' | 'vanished' | 'anew';
}

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
    for (const change of findColumnChanges(tableBefore, tableNow, (column) => nameOf(table, column)))
      add(change, 'read');
    for (const change of findPartitionChanges(tableBefore.partitions ?? {}, tableNow.partitions ?? {}))
      add(change.what, change.heals);
    const labels = tableNow.labels ?? {};
    if (Object.entries(tableBefore.labels ?? {}).some(([oid, label]) => (labels[oid] ?? label) !== label))
      add('a label of one of its enum types was renamed', 'read');
    return changes;
  });
}

function findPublicationChange(before: string, now: string): string | null {
  if (before === now) return null;
  return before.split(':')[0] === now.split(':')[0]
    ? 'the publication was altered'
    : 'the publication was dropped and created again';
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
): string[] {
  const columnsBefore = parseColumns(before.columns);
  const columns = parseColumns(now.columns);
  const found: string[] = [];
  const list = (indexes: readonly number[]) => indexes.map((index) => nameOf(index + 1)).join(', ');
  const indexes = columns.flatMap((column, index) => (column === null ? [] : [index]));
  const isOld = (index: number) => index < columnsBefore.length;
  const filled = indexes.filter((index) => !isOld(index) && columns[index]!.isMissing);
  if (filled.length > 0) found.push(`rows were given a value in new columns (${list(filled)})`);
  const retyped = indexes.filter(
    (index) => isOld(index) && !isSameText(columnsBefore[index]!.type, columns[index]!.type),
  );
  if (retyped.length > 0) found.push(`columns have another type (${list(retyped)})`);
  // TRUNCATE, VACUUM FULL and CLUSTER also give a table a new file, and leave its columns alone. The first has an event, the others change nothing.
  const rewritten = indexes.filter((index) => !isOld(index) || columnsBefore[index]!.mark !== columns[index]!.mark);
  const unsaid = rewritten.filter((index) => !filled.includes(index) && !retyped.includes(index));
  // A rewrite writes values that were missing, which changes those columns too, and nothing else tells it from another change of them.
  const others = unsaid.filter((index) => !isOld(index) || !columnsBefore[index]?.isMissing);
  const suspects = others.length > 0 ? others : unsaid;
  if (before.file !== now.file && suspects.length > 0)
    found.push(`the table was rewritten and columns changed (${list(suspects)})`);
  return found;
}

function isSameText(before: string, now: string): boolean {
  return before === now || (TEXTS.has(before) && TEXTS.has(now));
}

function findPartitionChanges(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): { what: string; heals: 'read' | 'vanished' }[] {
  const parse = (text: string) => {
    const [file, missing] = text.replace('+', '').split(':');
    return { file, missing: Number(missing) };
  };
  const found: { what: string; heals: 'read' | 'vanished' }[] = [];
  if (Object.entries(now).some(([oid, text]) => before[oid] === undefined && !text.endsWith('+')))
    found.push({ what: 'a partition was attached', heals: 'read' });
  if (Object.keys(before).some((oid) => now[oid] === undefined))
    found.push({ what: 'a partition was detached or dropped', heals: 'vanished' });
  const both = Object.entries(now).flatMap(([oid, text]) =>
    before[oid] === undefined ? [] : [{ old: parse(before[oid]), new: parse(text) }],
  );
  // A TRUNCATE of one partition sends no event; a VACUUM FULL of it looks the same.
  if (both.some((pair) => pair.old.file !== pair.new.file))
    found.push({ what: 'a partition was truncated or rewritten', heals: 'vanished' });
  if (both.some((pair) => pair.new.missing > pair.old.missing))
    found.push({ what: 'rows of partitions were given a value in new columns', heals: 'read' });
  return found;
}
