import type pg from 'pg';
import type { Projection } from '../projectors/projection.ts';
import { targetTables } from '../projectors/write/catalog.ts';
import { LINEAGE_COLUMNS } from '../projectors/write/statements.ts';
import { quoteIdent as quote } from '../schemas/quote.ts';

/** Something that every projected table has, and this one has not. `repair`: SQL for the owner of the tables; null: only a migration can. */
export interface Omission {
  readonly table: string;
  readonly kind: string;
  readonly repair: string | null;
}

/** Tables that the application sees at every stage. Every other one has a policy of `crosswalk.show_from_stage`. */
export const AT_EVERY_STAGE: readonly string[] = ['tenants', 'status_options', 'contacts'];
/** Tables that the application has no right on: they are for operators. */
export const NOT_FOR_THE_APPLICATION: readonly string[] = ['rejects'];

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

/** Reads what the catalog tells of tables of the schema crm. */
export async function readTableAccess(
  client: pg.ClientBase,
  tables: readonly string[],
): Promise<ReadonlyMap<string, TableAccess>> {
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
       'isGuarded', EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_taking_over' AND t.tgfoid = to_regproc('crm.refuse_taking_over') AND t.tgenabled IN ('O', 'A')),
       'grants', (SELECT coalesce(json_agg(r.name || ' ' || p.name), '[]') FROM (VALUES ${roles}) r (name) CROSS JOIN (VALUES ${privileges}) p (name)
         WHERE to_regrole(r.name) IS NOT NULL AND CASE p.name WHEN 'DELETE' THEN has_table_privilege(to_regrole(r.name)::oid, c.oid, p.name) ELSE has_any_column_privilege(to_regrole(r.name)::oid, c.oid, p.name) END)
     )::text AS access
     FROM pg_class c WHERE c.relnamespace = to_regnamespace('crm') AND c.relkind = 'r' AND c.relname = ANY ($1)`,
    [tables],
  );
  return new Map(rows.map(({ table, access }) => [table, JSON.parse(access) as TableAccess]));
}

/** What tables lack of everything that makes a table a projected one: pure. Of a table that is not there nothing is said but that. */
export function toOmissions(wanted: readonly Wanted[], found: ReadonlyMap<string, TableAccess>): Omission[] {
  return wanted.flatMap(({ table, isHistory }) => {
    const access = found.get(table);
    if (access === undefined) return [{ table, kind: 'the table', repair: null }];
    return [
      ...findShapeOmissions(table, access),
      ...findPolicyOmissions(table, access),
      ...findGrantOmissions(table, access, isHistory),
    ];
  });
}

function findShapeOmissions(table: string, { columns, notNull, checks, isGuarded }: TableAccess): Omission[] {
  const name = `crm.${quote(table)}`;
  const types: Readonly<Record<string, string>> = {
    source_lsn: 'pg_lsn',
    source_xid: 'bigint',
    source_committed_at: 'timestamptz',
  };
  const missing = LINEAGE_COLUMNS.filter((column) => !columns.includes(column));
  const hasCheck = (...parts: readonly string[]) => checks.some((check) => parts.every((part) => check.includes(part)));
  return [
    ...missing.map((column) => ({
      table,
      kind: `column ${column}`,
      repair: `ALTER TABLE ${name} ADD COLUMN ${column} ${types[column] ?? 'text'}`,
    })),
    ...(notNull.includes('origin') && hasCheck('origin', `'cdc'`, `'app'`)
      ? []
      : [
          {
            table,
            kind: 'column origin',
            repair: columns.includes('origin')
              ? `ALTER TABLE ${name} ALTER origin SET NOT NULL, ADD CHECK (origin IN ('cdc', 'app'))`
              : `ALTER TABLE ${name} ADD COLUMN origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app'))`,
          },
        ]),
    ...(hasCheck('origin', ...LINEAGE_COLUMNS)
      ? []
      : [
          {
            table,
            kind: 'check of the lineage',
            repair: `ALTER TABLE ${name} ADD CONSTRAINT ${quote(`${table}_lineage`)} CHECK (origin = 'app' OR num_nulls(${LINEAGE_COLUMNS.join(', ')}) = 0)`,
          },
        ]),
    ...(isGuarded
      ? []
      : [
          {
            table,
            kind: 'trigger refuse_taking_over',
            repair: `CREATE OR REPLACE TRIGGER refuse_taking_over BEFORE UPDATE OF origin ON ${name} FOR EACH ROW WHEN (OLD.origin = 'cdc' AND NEW.origin <> 'cdc') EXECUTE FUNCTION crm.refuse_taking_over(); ALTER TABLE ${name} ENABLE TRIGGER refuse_taking_over`,
          },
        ]),
  ];
}

function findPolicyOmissions(table: string, { rowSecurity, policies }: TableAccess): Omission[] {
  const name = `crm.${quote(table)}`;
  const has = (policy: string, role: string | undefined, is: (found: Policy) => boolean) =>
    policies.some((found) => found.name === policy && found.permissive && found.roles.includes(role!) && is(found));
  const isOfTenant = ({ using, check }: Policy) =>
    [using, check].every((text) => text.includes('tenant_id') && text.includes('crosswalk.tenant_id'));
  const isStaged = ({ using, check }: Policy) => [using, check].every((text) => text.includes('current_stage'));
  const isForTenant = has('tenant', APP, (policy) => policy.command === '*' && isOfTenant(policy));
  const show = `SELECT crosswalk.show_from_stage('${table}', <stage>)`;
  return [
    ...(rowSecurity
      ? []
      : [{ table, kind: 'row-level security', repair: `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY` }]),
    ...(has('projector', PROJECTOR, ({ command, using }) => command === '*' && using === 'true')
      ? []
      : [
          {
            table,
            kind: 'policy projector',
            repair: `DROP POLICY IF EXISTS projector ON ${name}; CREATE POLICY projector ON ${name} TO ${PROJECTOR} USING (true) WITH CHECK (true)`,
          },
        ]),
    ...(has('reader', READER, ({ command, using }) => 'r*'.includes(command) && using === 'true')
      ? []
      : [
          {
            table,
            kind: 'policy reader',
            repair: `DROP POLICY IF EXISTS reader ON ${name}; CREATE POLICY reader ON ${name} FOR SELECT TO ${READER} USING (true)`,
          },
        ]),
    ...(isForTenant ? [] : [{ table, kind: 'policy tenant', repair: show }]),
    ...(!isForTenant || AT_EVERY_STAGE.includes(table) || has('tenant', APP, isStaged)
      ? []
      : [{ table, kind: 'stage of policy tenant', repair: show }]),
  ];
}

function findGrantOmissions(table: string, { grants }: TableAccess, isHistory: boolean): Omission[] {
  const ofApp = NOT_FOR_THE_APPLICATION.includes(table)
    ? []
    : isHistory
      ? ['SELECT', 'INSERT']
      : ['SELECT', 'INSERT', 'UPDATE'];
  const wanted = [
    [PROJECTOR, PRIVILEGES],
    [READER, ['SELECT']],
    [APP, ofApp],
  ] as const;
  return wanted.flatMap(([role, privileges]) => {
    const missing = privileges.filter((privilege) => !grants.includes(`${role} ${privilege}`));
    if (missing.length === 0) return [];
    const list = missing.join(', ');
    return [{ table, kind: `${list} for ${role}`, repair: `GRANT ${list} ON crm.${quote(table)} TO ${role}` }];
  });
}
