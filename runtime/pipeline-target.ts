import type pg from 'pg';
import { allProjections } from '../projectors/projections/all.ts';
import { readShadows } from '../projectors/rebuild/shadow.ts';
import { targetTables } from '../projectors/write/catalog.ts';
import { readMigrationState } from '../schemas/migrations.ts';
import { toCrosswalkError } from './errors.ts';
import { type Check, checksOf } from './pipeline-checks.ts';

/** What the projectors need of the target database, migrations and rights; and what was left behind in it. */
export async function readTargetChecks(client: pg.ClientBase): Promise<Check[]> {
  const { ok, warning, failing } = checksOf('target');
  const migrate = "Run `crosswalk migrate up` with an owner's address (TARGET_OWNER_URL).";
  const checks: Check[] = [];
  try {
    const missing = (await readMigrationState(client)).filter(({ appliedAt }) => appliedAt === null);
    checks.push(
      missing.length === 0
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
    ...allProjections.flatMap(targetTables).map((table) => `crm.${table}`),
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
