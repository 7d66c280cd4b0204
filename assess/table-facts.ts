import type pg from 'pg';
import type { ColumnFacts, KeyCandidate, TableFacts, TableKind } from './facts.ts';
import { readOnly, tryReadOnly } from './read-only.ts';

const LIMIT_MS = 15_000;
/** Maximum number of further tables of the schema in the list. */
const MOST_OTHERS = 500;

const KINDS: Readonly<Record<string, TableKind>> = {
  r: 'table',
  p: 'partitioned',
  f: 'foreign',
  v: 'view',
  m: 'materialised view',
};

type CatalogColumn = Omit<ColumnFacts, 'typeOid' | 'generated'> & { typeOid: string; generated: string };

/** The tables of a schema: those of `sources` in that order, then the others, largest first. */
export async function readTables(
  client: pg.ClientBase,
  schema: string,
  sources: readonly string[],
): Promise<{ tables: TableFacts[]; others: TableFacts[] }> {
  const read = (isMeasured: boolean) =>
    client.query<Record<string, string | null>>(toTablesSql(isMeasured), [schema, sources, MOST_OTHERS]);
  // File sizes need a lock, which another session may block. The catalog's sizes are always available.
  const measured = await tryReadOnly(client, LIMIT_MS, () => read(true));
  const { rows } = 'value' in measured ? measured.value : await readOnly(client, LIMIT_MS, () => read(false));
  const all = rows.map(toTable);
  return {
    tables: sources.flatMap((source) => all.find(({ name }) => name === source) ?? []),
    others: all.filter(({ name, kind }) => !sources.includes(name) && !kind.endsWith('view')),
  };
}

function toTable(row: Record<string, string | null>): TableFacts {
  const parse = <T>(name: string) => JSON.parse(row[name] ?? '[]') as T;
  const toNumber = (name: string) => (row[name] === null ? null : Number(row[name]));
  return {
    name: row.name!,
    kind: KINDS[row.kind!] ?? 'other',
    rows: toNumber('rows'),
    bytes: toNumber('bytes'),
    columns: parse<CatalogColumn[]>('columns').map(({ typeOid, generated, ...column }) => ({
      ...column,
      typeOid: Number(typeOid),
      generated: generated === 's' ? 'stored' : generated === 'v' ? 'virtual' : null,
    })),
    primaryKey: parse<string[]>('key'),
    candidates: parse<KeyCandidate[]>('candidates'),
    identity: row.identity!,
    isUnlogged: row.persistence === 'u',
    isPartition: row.is_partition === 'true',
    partitions: Number(row.partitions),
    inheritedBy: parse<string[]>('inherited_by'),
    inheritsFrom: parse<string[]>('inherits_from'),
    rowSecurity: row.forced === 'true' ? 'forced' : row.secured === 'true' ? 'enabled' : 'none',
    triggers: parse<string[]>('triggers'),
    hasRules: row.rules === 'true',
  };
}

/** Names of the columns of an index, in its order. */
const columnsOf = (index: string) =>
  `(SELECT coalesce(json_agg(a.attname ORDER BY k.position), '[]') FROM unnest(${index}.indkey) WITH ORDINALITY AS k (attnum, position)
     JOIN pg_attribute a ON a.attrelid = ${index}.indrelid AND a.attnum = k.attnum WHERE k.position <= ${index}.indnkeyatts)`;

/** `isMeasured`: takes sizes from the files, not from the catalog's last statistics. Partitions count for their table. */
function toTablesSql(isMeasured: boolean): string {
  const block = `current_setting('block_size')::bigint`;
  const pages = isMeasured ? `(pg_relation_size(l.oid) / ${block})` : 'l.relpages';
  const bytes = isMeasured
    ? 'pg_total_relation_size(l.oid)'
    : `${block} * (l.relpages + coalesce((SELECT t.relpages FROM pg_class t WHERE t.oid = l.reltoastrelid), 0)
         + coalesce((SELECT sum(x.relpages) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = l.oid), 0))`;
  return `
WITH RECURSIVE listed AS (
  SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND (c.relname = ANY ($2) AND c.relkind IN ('r', 'p', 'f', 'v', 'm') OR c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition)),
tree (root, oid) AS (
  SELECT oid, oid FROM listed
  UNION ALL SELECT t.root, i.inhrelid FROM tree t JOIN pg_class p ON p.oid = t.oid AND p.relkind = 'p' JOIN pg_inherits i ON i.inhparent = t.oid),
leaves AS (
  SELECT t.root, ${bytes} AS bytes,
    CASE WHEN ${pages} = 0 THEN 0 WHEN l.relpages > 0 AND l.reltuples >= 0 THEN l.reltuples / l.relpages * ${pages}
      ELSE nullif(pg_stat_get_live_tuples(l.oid), 0) END AS estimate
  FROM tree t JOIN pg_class l ON l.oid = t.oid WHERE l.relkind IN ('r', 'm')),
sizes AS (
  SELECT root, sum(bytes) AS bytes, CASE WHEN bool_and(estimate IS NOT NULL) THEN sum(estimate) END AS estimate, count(*) AS leaves FROM leaves GROUP BY root)
SELECT c.relname AS name, c.relkind AS kind, c.relreplident AS identity, c.relpersistence AS persistence, c.relispartition::text AS is_partition,
  round(s.estimate)::bigint::text AS rows, s.bytes::bigint::text AS bytes,
  CASE WHEN c.relkind = 'p' THEN coalesce(s.leaves, 0) ELSE 0 END::text AS partitions,
  c.relrowsecurity::text AS secured, (c.relrowsecurity AND c.relforcerowsecurity)::text AS forced,
  (c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid))::text AS rules,
  (SELECT json_agg(t.tgname ORDER BY t.tgname)::text FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D') AS triggers,
  CASE WHEN c.relkind = 'r' THEN (SELECT json_agg(h.relname ORDER BY h.relname)::text FROM pg_inherits i JOIN pg_class h ON h.oid = i.inhrelid WHERE i.inhparent = c.oid) END AS inherited_by,
  CASE WHEN NOT c.relispartition THEN (SELECT json_agg(h.relname ORDER BY i.inhseqno)::text FROM pg_inherits i JOIN pg_class h ON h.oid = i.inhparent WHERE i.inhrelid = c.oid) END AS inherits_from,
  (SELECT ${columnsOf('i')}::text FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS key,
  CASE WHEN c.relname = ANY ($2) THEN (SELECT json_agg(json_build_object('index', x.relname, 'isConstraint', EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.contype = 'u'), 'columns', ${columnsOf('i')},
      'nullable', (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_attribute a
         WHERE a.attrelid = c.oid AND NOT a.attnotnull AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))) ORDER BY x.relname)::text
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indisprimary AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL) END AS candidates,
  CASE WHEN c.relname = ANY ($2) THEN (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'typeOid', a.atttypid::text,
      'kind', y.typtype, 'isArray', y.typcategory = 'A', 'isNullable', NOT a.attnotnull, 'generated', a.attgenerated) ORDER BY a.attnum)::text
    FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END AS columns
FROM listed c LEFT JOIN sizes s ON s.root = c.oid
ORDER BY (c.relname = ANY ($2)) DESC, s.bytes DESC NULLS LAST, c.relname LIMIT cardinality($2::text[]) + $3`;
}
