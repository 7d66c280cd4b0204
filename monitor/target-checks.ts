import type pg from 'pg';
import type { Projection } from '../projectors/projection.ts';
import { readShadows } from '../projectors/rebuild/shadow.ts';
import { targetTables } from '../projectors/write/catalog.ts';
import { toCrosswalkError } from '../runtime/errors.ts';
import { type Migration, readMigrationState } from '../schemas/migrations.ts';
import { quoteTable } from '../schemas/quote.ts';
import { type Check, checksOf } from './checks.ts';
import { type Omission, readTableAccess, toOmissions, wantedTables } from './target-access.ts';

/** The subject of the checks: the pipeline's projections, and every migration. */
export interface TargetOf {
  readonly projections: readonly Projection[];
  readonly targetSchema: string;
  readonly migrations: readonly Migration[];
}

/** Requirements of the projectors on the target database: migrations, rights and access; and leftovers in it. */
export async function readTargetChecks(
  client: pg.ClientBase,
  { projections, targetSchema, migrations }: TargetOf,
): Promise<Check[]> {
  const { ok, warning, failing } = checksOf('target');
  const migrate = "Run `crosswalk migrate up` with an owner's address (TARGET_OWNER_URL).";
  const checks: Check[] = [];
  let isMigrated = true;
  try {
    const missing = (await readMigrationState(client, migrations)).filter(({ appliedAt }) => appliedAt === null);
    isMigrated = missing.length === 0;
    checks.push(
      isMigrated
        ? ok('migrations', 'all are applied')
        : failing(
            'migrations',
            `Not applied: ${missing.map(({ migration }) => `${migration.schema} ${migration.number} ${migration.name}`).join(', ')}`,
            migrate,
          ),
    );
  } catch (thrown) {
    const { code, message, remedy } = toCrosswalkError(thrown, 'target database');
    // The projectors' role may have no right to read the list.
    if (code !== 'permission_denied') checks.push(failing('migrations', message, remedy));
  }
  const wanted = [
    ...projections.flatMap(targetTables).map((table) => quoteTable(targetSchema, table)),
    'crosswalk.consumer_offset',
    'crosswalk.parked_change',
    'crosswalk.dead_letter',
    'crosswalk.log_position',
  ];
  const { rows } = await client.query<{ table: string; lacks: string }>(
    `SELECT t AS table, string_agg(p, ', ') AS lacks FROM unnest($1::text[]) t CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) p
     WHERE to_regclass(t) IS NOT NULL AND NOT has_table_privilege(to_regclass(t), p) GROUP BY 1 ORDER BY 1`,
    [[...new Set(wanted)]],
  );
  checks.push(
    rows.length === 0
      ? ok('rights', 'the role may write the projected tables')
      : failing(
          'rights',
          `The role may not ${rows.map(({ table, lacks }) => `${lacks} on ${table}`).join('; ')}`,
          'Make it a member: GRANT crosswalk_projector TO the role of TARGET_DATABASE_URL.',
        ),
  );
  checks.push(...(await readAccessChecks(client, projections, targetSchema, isMigrated)));
  const left = (await readShadows(client)).filter(({ isWorkedOn }) => !isWorkedOn);
  checks.push(
    left.length === 0
      ? ok('rebuilds', 'none is left unfinished')
      : warning(
          'rebuilds',
          `Unfinished, and nobody works on them: ${left.map(({ name }) => name).join(', ')}`,
          'Each takes as much disk as the tables it copies: go on (`crosswalk rebuild … --resume`) or drop it (`--discard`).',
        ),
  );
  return checks;
}

/** Whether every projected table is complete: lineage, row-level security, policies, grants, and the guard of its rows. One check for each incomplete table. */
async function readAccessChecks(
  client: pg.ClientBase,
  projections: readonly Projection[],
  targetSchema: string,
  isMigrated: boolean,
): Promise<Check[]> {
  const { ok, failing } = checksOf('target');
  const wanted = wantedTables(projections);
  const found = await readTableAccess(
    client,
    targetSchema,
    wanted.map(({ table }) => table),
  );
  // Before the migrations are applied, missing tables are theirs to create.
  const omissions = toOmissions(
    wanted.filter(({ table }) => isMigrated || found.has(table)),
    found,
    targetSchema,
  );
  const byTable: ReadonlyMap<string, readonly Omission[]> = Map.groupBy(omissions, ({ table }) => table);
  if (byTable.size === 0 && found.size > 0)
    return [ok('access', `${found.size} projected tables have lineage, policies, stages and grants as they must be`)];
  return [...byTable].map(([table, lacks]) =>
    failing(
      'access',
      `${targetSchema}.${table} lacks ${lacks.map(({ kind }) => kind).join('; ')}`,
      `Run as the owner of the tables, or with the tool that makes them: ${[...new Set(lacks.map(({ repair }) => repair))].map((sql) => `${sql};`).join(' ')}`,
    ),
  );
}
