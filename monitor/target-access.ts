import type pg from 'pg';
import type { Projection } from '../projectors/projection.ts';
import { LINEAGE_COLUMNS } from '../projectors/write/statements.ts';
import { quoteIdent as quote, quoteLiteral } from '../schemas/quote.ts';

/** Something that every projected table must have, and that this one lacks. `repair`: SQL for the owner of the tables; undeclared types are left to a person, as `<type>`. */
export interface Omission {
  readonly table: string;
  readonly kind: string;
  readonly repair: string;
}

/** A table as projections declare it. */
interface Wanted {
  readonly table: string;
  /** Whether the table is append-only. */
  readonly isHistory: boolean;
  /** Without lineage. */
  readonly columns: readonly string[];
}

interface Policy {
  readonly name: string;
  /** `*`: all commands. */
  readonly command: string;
  readonly permissive: boolean;
  readonly roles: readonly string[];
  /** USING and WITH CHECK; empty where there is none. */
  readonly using: string;
  readonly check: string;
}

/** Catalog data on a table; null: there is no such table. */
export interface TableAccess {
  readonly notNull: readonly string[];
  readonly columns: readonly string[];
  /** Whether ids are unique. */
  readonly hasKey: boolean;
  /** Definitions of valid CHECK constraints. */
  readonly checks: readonly string[];
  readonly rowSecurity: boolean;
  readonly policies: readonly Policy[];
  readonly isGuarded: boolean;
  /** As recorded by crosswalk.adopt(); null: the table was not adopted. */
  readonly adopted: { readonly stage: number | null } | null;
  /** As `role PRIVILEGE`, on the table or on any of its columns. */
  readonly grants: readonly string[];
}

const [PROJECTOR, READER, APP] = ['crosswalk_projector', 'crosswalk_reader', 'crosswalk_app'];
const PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

/** Tables that projections write, each once. */
export function wantedTables(projections: readonly Projection[]): Wanted[] {
  const wanted = new Map<string, { isHistory: boolean; columns: Set<string> }>();
  const add = (table: string, columns: readonly string[], isHistory = false) => {
    const known = wanted.get(table) ?? { isHistory, columns: new Set<string>() };
    wanted.set(table, known);
    for (const column of columns) known.columns.add(column);
  };
  for (const { owned, aggregates, history } of projections) {
    for (const { table, columns, blank = [], retract } of owned)
      add(table, [...columns, ...blank, ...(retract === 'delete' ? [] : ['deleted_at'])]);
    for (const { table, columns } of aggregates.flatMap(({ targets }) => targets))
      add(table, [...columns, 'deleted_at']);
    for (const { table, columns } of history?.targets ?? []) add(table, columns, true);
  }
  return [...wanted].map(([table, { isHistory, columns }]) => ({ table, isHistory, columns: [...columns] }));
}

/** Reads the catalog data on tables of the new schema. */
export async function readTableAccess(
  client: pg.ClientBase,
  targetSchema: string,
  tables: readonly string[],
): Promise<ReadonlyMap<string, TableAccess>> {
  const { rows: known } = await client.query<{ name: string | null }>(
    `SELECT to_regclass('crosswalk.adopted')::text AS name`,
  );
  const adopted =
    known[0]!.name === null
      ? 'NULL'
      : `(SELECT json_build_object('stage', a.stage) FROM crosswalk.adopted a WHERE a.table_schema = $2 AND a.table_name = c.relname)`;
  const roles = [PROJECTOR, READER, APP].map((role) => `('${role}')`).join(', ');
  const privileges = PRIVILEGES.map((privilege) => `('${privilege}')`).join(', ');
  const { rows } = await client.query<{ table: string; access: string }>(
    `SELECT c.relname AS table, json_build_object(
       'columns', (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       'notNull', (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped),
       'checks', (SELECT coalesce(json_agg(pg_get_constraintdef(k.oid)), '[]') FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated
         AND to_jsonb(k)->>'conenforced' IS DISTINCT FROM 'false'),
       'hasKey', EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id' AND i.indkey::text = a.attnum::text
         WHERE i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL AND i.indisvalid AND i.indimmediate),
       'rowSecurity', c.relrowsecurity,
       'policies', (SELECT coalesce(json_agg(json_build_object('name', p.polname, 'command', p.polcmd, 'permissive', p.polpermissive,
           'roles', (SELECT coalesce(json_agg(r.rolname), '[]') FROM pg_roles r WHERE r.oid = ANY (p.polroles)),
           'using', coalesce(pg_get_expr(p.polqual, p.polrelid), ''), 'check', coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''))), '[]') FROM pg_policy p WHERE p.polrelid = c.oid),
       'isGuarded', EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_taking_over' AND t.tgfoid = to_regproc('crosswalk.refuse_taking_over') AND t.tgenabled IN ('O', 'A')),
       'adopted', ${adopted},
       'grants', (SELECT coalesce(json_agg(r.name || ' ' || p.name), '[]') FROM (VALUES ${roles}) r (name) CROSS JOIN (VALUES ${privileges}) p (name)
         WHERE to_regrole(r.name) IS NOT NULL AND CASE p.name WHEN 'DELETE' THEN has_table_privilege(to_regrole(r.name)::oid, c.oid, p.name) ELSE has_any_column_privilege(to_regrole(r.name)::oid, c.oid, p.name) END)
     )::text AS access
     FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident($2)) AND c.relkind = 'r' AND c.relname = ANY ($1)`,
    [tables, targetSchema],
  );
  return new Map(rows.map(({ table, access }) => [table, JSON.parse(access) as TableAccess]));
}

/** What tables lack, compared with the declarations of their projections and the properties of every projected table: pure. A missing table is reported only as missing. */
export function toOmissions(
  wanted: readonly Wanted[],
  found: ReadonlyMap<string, TableAccess>,
  targetSchema: string,
): Omission[] {
  return wanted.flatMap(({ table, isHistory, columns }): Omission[] => {
    const access = found.get(table);
    const name = `${quote(targetSchema)}.${quote(table)}`;
    const adopt = (stage: number | string) =>
      `SELECT crosswalk.adopt(${quoteLiteral(name)}, ${stage}${isHistory ? ', true' : ''})`;
    const typeOf = (column: string) => ({ tenant_id: 'text NOT NULL', deleted_at: 'timestamptz' })[column] ?? '<type>';
    if (access === undefined) {
      const made = columns.map(
        (column) => `${quote(column)} ${typeOf(column)}${column === 'id' ? ' PRIMARY KEY' : ''}`,
      );
      return [{ table, kind: 'the table', repair: `CREATE TABLE ${name} (${made.join(', ')}); ${adopt('<stage>')}` }];
    }
    const missing = columns.filter((column) => !access.columns.includes(column));
    const kinds = [
      ...(access.adopted === null ? ['adoption'] : []),
      ...findShapeOmissions(access),
      ...findPolicyOmissions(access),
      ...findGrantOmissions(access, isHistory),
    ];
    const repair = adopt(access.adopted === null ? '<stage>' : (access.adopted.stage ?? 'NULL'));
    return [
      ...missing.map((column) => ({
        ...{ table, kind: `column ${column}` },
        repair: `ALTER TABLE ${name} ADD COLUMN ${quote(column)} ${typeOf(column)}`,
      })),
      ...(access.hasKey || missing.includes('id')
        ? []
        : [{ table, kind: 'unique key of id', repair: `ALTER TABLE ${name} ADD PRIMARY KEY (id)` }]),
      ...kinds.map((kind) => ({ table, kind, repair })),
    ];
  });
}

function findShapeOmissions({ columns, notNull, checks, isGuarded }: TableAccess): string[] {
  const hasCheck = (...parts: readonly string[]) => checks.some((check) => parts.every((part) => check.includes(part)));
  return [
    ...LINEAGE_COLUMNS.filter((column) => !columns.includes(column)).map((column) => `column ${column}`),
    ...(notNull.includes('origin') && hasCheck('origin', `'cdc'`, `'app'`) ? [] : ['column origin']),
    ...(hasCheck('origin', ...LINEAGE_COLUMNS) ? [] : ['check of the lineage']),
    ...(isGuarded ? [] : ['trigger refuse_taking_over']),
  ];
}

function findPolicyOmissions({ rowSecurity, policies, adopted }: TableAccess): string[] {
  const has = (policy: string, role: string | undefined, is: (found: Policy) => boolean) =>
    policies.some((found) => found.name === policy && found.permissive && found.roles.includes(role!) && is(found));
  const isOfTenant = ({ using, check }: Policy) =>
    [using, check].every((text) => text.includes('tenant_id') && text.includes('crosswalk.tenant_id'));
  const isStaged = ({ using, check }: Policy) => [using, check].every((text) => text.includes('current_stage'));
  const isForTenant = has('tenant', APP, (policy) => policy.command === '*' && isOfTenant(policy));
  const isAtEveryStage = (adopted?.stage ?? 0) === 0;
  return [
    ...(rowSecurity ? [] : ['row-level security']),
    ...(has('projector', PROJECTOR, ({ command, using }) => command === '*' && using === 'true')
      ? []
      : ['policy projector']),
    ...(has('reader', READER, ({ command, using }) => 'r*'.includes(command) && using === 'true')
      ? []
      : ['policy reader']),
    ...(isForTenant ? [] : ['policy tenant']),
    ...(!isForTenant || isAtEveryStage || has('tenant', APP, isStaged) ? [] : ['stage of policy tenant']),
  ];
}

function findGrantOmissions({ grants, adopted }: TableAccess, isHistory: boolean): string[] {
  const ofApp =
    adopted !== null && adopted.stage === null ? [] : isHistory ? ['SELECT', 'INSERT'] : ['SELECT', 'INSERT', 'UPDATE'];
  const wanted = [
    [PROJECTOR, PRIVILEGES],
    [READER, ['SELECT']],
    [APP, ofApp],
  ] as const;
  return wanted.flatMap(([role, privileges]) => {
    const missing = privileges.filter((privilege) => !grants.includes(`${role} ${privilege}`));
    return missing.length === 0 ? [] : [`${missing.join(', ')} for ${role}`];
  });
}
