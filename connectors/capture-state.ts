import type pg from 'pg';
import { quoteIdent, quoteLiteral, quoteTable } from '../schemas/quote.ts';
import type { CaptureOptions } from './source-state.ts';

/** The settings for change data capture in a legacy database, as far as they can be restored. */
export interface CaptureState {
  /** Replica identity by table: `d`, `n`, `f`, or `i` with the name of the index. */
  readonly identities: Readonly<Record<string, { readonly kind: string; readonly index: string | null }>>;
  /** Replica identity of partitions, by qualified and quoted name; missing in states of earlier versions. */
  readonly partitions?: CaptureState['identities'];
  readonly publication: PublicationState | null;
  readonly hasSlot: boolean;
}

/** A publication's settings and contents. */
export interface PublicationState {
  readonly allTables: boolean;
  readonly publish: string;
  readonly viaRoot: boolean;
  /** `stored` or `none`; null if the server does not have this option. */
  readonly generated: 'stored' | 'none' | null;
  readonly schemas: readonly string[];
  /** Qualified and quoted, with column list and row filter. */
  readonly tables: readonly { readonly name: string; readonly part: string }[];
}

/** Reads the capture state from the catalog. Tables that do not exist are left out. */
export async function readCaptureState(
  client: pg.ClientBase,
  options: CaptureOptions & { readonly slot: string },
): Promise<CaptureState> {
  const identity = `json_build_object('kind', c.relreplident, 'index', (SELECT x.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident))`;
  const { rows } = await client.query<Record<'identities' | 'partitions' | 'publication' | 'slot', string | null>>(
    `WITH RECURSIVE tree (oid) AS (
       SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind = 'p'
       UNION SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid)
     SELECT (SELECT json_object_agg(format('%I.%I', n.nspname, c.relname), ${identity})
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition AND c.relkind = 'r' AND c.oid IN (SELECT t.oid FROM tree t))::text AS partitions,
       (SELECT json_object_agg(c.relname, ${identity})
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p'))::text AS identities,
       (SELECT json_build_object('allTables', p.puballtables, 'viaRoot', p.pubviaroot,
           'publish', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
           'generated', CASE to_jsonb(p) ->> 'pubgencols' WHEN 's' THEN 'stored' WHEN 'n' THEN 'none' END,
           'schemas', (SELECT coalesce(json_agg(n.nspname ORDER BY n.nspname), '[]') FROM pg_catalog.pg_publication_namespace s JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid),
           'tables', (SELECT coalesce(json_agg(json_build_object('name', format('%I.%I', n.nspname, c.relname), 'part', format('%s%s',
               (SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs)),
               ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')')) ORDER BY n.nspname, c.relname), '[]')
             FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_class c ON c.oid = r.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid))
         FROM pg_catalog.pg_publication p WHERE p.pubname = $3)::text AS publication,
       (SELECT 'yes' FROM pg_catalog.pg_replication_slots WHERE slot_name = $4 AND database = current_database()) AS slot`,
    [options.schema, options.tables, options.publication, options.slot],
  );
  const { identities, partitions, publication, slot } = rows[0]!;
  const parse = (json: string | null) => (json === null ? {} : (JSON.parse(json) as CaptureState['identities']));
  return {
    identities: parse(identities),
    partitions: parse(partitions),
    publication: publication === null ? null : (JSON.parse(publication) as PublicationState),
    hasSlot: slot !== null,
  };
}

/**
 * The statements that restore the state `before` in a legacy database that is in state `now`; empty if nothing differs.
 * A slot that did not exist is dropped first: without the publication it could not be read and would retain the
 * server's WAL forever. Tables missing in `before` stay unchanged.
 */
export function planCaptureUndo(
  before: CaptureState,
  now: CaptureState,
  options: CaptureOptions & { readonly slot: string },
): string[] {
  const publication = quoteIdent(options.publication);
  const undone: string[] = [];
  if (now.hasSlot && !before.hasSlot)
    undone.push(`SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(options.slot)})`);
  undone.push(...planPublication(publication, before.publication, now.publication));
  const undo = (name: string, { kind, index }: Identity, current: Identity | undefined) => {
    if (current === undefined || (current.kind === kind && current.index === index)) return;
    const identity = { d: 'DEFAULT', n: 'NOTHING', f: 'FULL' }[kind] ?? `USING INDEX ${quoteIdent(index ?? '')}`;
    undone.push(`ALTER TABLE ${name} REPLICA IDENTITY ${identity}`);
  };
  for (const [table, identity] of Object.entries(before.identities))
    undo(quoteTable(options.schema, table), identity, now.identities[table]);
  for (const [name, identity] of Object.entries(before.partitions ?? {})) undo(name, identity, now.partitions?.[name]);
  return undone;
}

type Identity = CaptureState['identities'][string];

function planPublication(name: string, before: PublicationState | null, now: PublicationState | null): string[] {
  if (before === null) return now === null ? [] : [`DROP PUBLICATION ${name}`];
  const settings = toSettings(before);
  const objects = toObjects(before);
  if (now === null || now.allTables !== before.allTables) {
    const what = before.allTables ? ' FOR ALL TABLES' : objects === '' ? '' : ` FOR ${objects}`;
    return [
      ...(now === null ? [] : [`DROP PUBLICATION ${name}`]),
      `CREATE PUBLICATION ${name}${what} WITH (${settings})`,
    ];
  }
  return [
    ...(objects === toObjects(now)
      ? []
      : objects === ''
        ? [
            `ALTER PUBLICATION ${name} DROP ${toObjects({ ...now, tables: now.tables.map((table) => ({ ...table, part: '' })) })}`,
          ]
        : [`ALTER PUBLICATION ${name} SET ${objects}`]),
    ...(settings === toSettings(now) ? [] : [`ALTER PUBLICATION ${name} SET (${settings})`]),
  ];
}

function toObjects({ tables, schemas }: PublicationState): string {
  return [
    ...tables.map(({ name, part }) => `TABLE ${name}${part}`),
    ...schemas.map((schema) => `TABLES IN SCHEMA ${quoteIdent(schema)}`),
  ].join(', ');
}

function toSettings({ publish, viaRoot, generated }: PublicationState): string {
  return [
    `publish = '${publish}'`,
    `publish_via_partition_root = ${viaRoot}`,
    ...(generated === null ? [] : [`publish_generated_columns = ${generated}`]),
  ].join(', ');
}
