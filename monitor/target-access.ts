import type pg from 'pg';
import type { Projection } from '../projectors/projection.ts';
import { targetTables } from '../projectors/write/catalog.ts';
import { LINEAGE_COLUMNS } from '../projectors/write/statements.ts';
import { quoteIdent as quote, quoteLiteral } from '../schemas/quote.ts';

/** Something that every projected table has, and this one has not. `repair`: SQL for the owner of the tables; null: only a migration can. */
export interface Omission {
  readonly table: string;
  readonly kind: string;
  readonly repair: string | null;
}

/** Of a table, whether rows are only ever added. */
interface Wanted {
  readonly table: string;
  readonly isHistory: boolean;
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

/** What the catalog tells of a table; null: there is none. */
export interface TableAccess {
  readonly notNull: readonly string[];
  readonly columns: readonly string[];
  /** Definitions of valid CHECK constraints. */
  readonly checks: readonly string[];
  readonly rowSecurity: boolean;
  readonly policies: readonly Policy[];
  readonly isGuarded: boolean;
  /** As crosswalk.adopt() noted it; null: it was not adopted. */
  readonly adopted: { readonly stage: number | null } | null;
  /** As `role PRIVILEGE`, on the table or on any of its columns. */
  readonly grants: readonly string[];
}

const [PROJECTOR, READER, APP] = ['crosswalk_projector', 'crosswalk_reader', 'crosswalk_app'];
const PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

/** Tables that projections write, each once. */
export function wantedTables(projections: readonly Projection[]): Wanted[] {
  const wanted = projections.flatMap((projection) =>
    targetTables(projection).map((table): Wanted => ({ table, isHistory: projection.history !== undefined })),
  );
  return [...new Map(wanted.map((each) => [each.table, each])).values()];
}

/** Reads what the catalog tells of tables of the new schema. */
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

/** What tables lack of everything that makes a table a projected one: pure. Of a table that is not there nothing is said but that. */
export function toOmissions(
  wanted: readonly Wanted[],
  found: ReadonlyMap<string, TableAccess>,
  targetSchema: string,
): Omission[] {
  return wanted.flatMap(({ table, isHistory }): Omission[] => {
    const access = found.get(table);
    if (access === undefined) return [{ table, kind: 'the table', repair: null }];
    const name = `${quote(targetSchema)}.${quote(table)}`;
    const kinds = [
      ...(access.adopted === null ? ['adoption'] : []),
      ...findShapeOmissions(access),
      ...findPolicyOmissions(access),
      ...findGrantOmissions(access, isHistory),
    ];
    const stage = access.adopted === null ? '<stage>' : (access.adopted.stage ?? 'NULL');
    const repair = `SELECT crosswalk.adopt(${quoteLiteral(name)}, ${stage}${isHistory ? ', true' : ''})`;
    return kinds.map((kind) => ({ table, kind, repair }));
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
