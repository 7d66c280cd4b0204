import { findShortcomings } from '../../connectors/source-requirements.ts';
import { captureOf, readSource } from '../../connectors/source-state.ts';
import { type Check, checksOf } from '../../monitor/checks.ts';
import { readLegacyChecks } from '../../monitor/legacy-checks.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import { labelOf, readMigrationState } from '../../schemas/migrations.ts';
import { phaseNames } from '../../schemas/phase-log.ts';
import { examine } from '../commands/doctor.ts';
import { toBytesText } from '../quantity-text.ts';
import { nothingToDo, type Phase, type PhaseRun } from './phase.ts';

const OLDEST_VERSION = 150_000;
/** The migration that creates missing roles. */
const MAKING_ROLES = 'crosswalk/011_pipelines';
const ROLES = ['crosswalk_app', 'crosswalk_projector', 'crosswalk_reader', 'crosswalk_operator'];

/** Checks the requirements of the later phases; changes nothing. */
export const prepare: Phase = {
  name: 'prepare',
  summary: 'looks at both databases, Kafka and the registry: rights, settings, sizes; changes nothing',
  rollbackSummary: 'nothing',
  forward: {
    check: async (run) => [
      ...(await checkTarget(run)),
      ...(await checkLegacy(run)),
      ...(await checkLegacyRows(run)),
      ...(await checkServers(run)),
    ],
    plan: async () => nothingToDo,
    count: async () => ({}),
    work: async () => ({}),
    confirm: async () => [],
    asks: false,
  },
  back: null,
};

/** Checks the rights of the owner of the new schema. */
async function checkTarget({ target, migrations, context: { config } }: PhaseRun): Promise<Check[]> {
  const { ok, failing } = checksOf('target');
  const { rows } = await target.query<
    Record<'version' | 'number' | 'standby' | 'role' | 'database' | 'creates' | 'makesRoles' | 'foreign', string>
  >(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number, pg_is_in_recovery()::text AS standby,
       quote_ident(current_user) AS role, quote_ident(current_database()) AS database,
       (has_database_privilege(current_database(), 'CREATE') OR (to_regnamespace(quote_ident($1)) IS NOT NULL AND to_regnamespace('crosswalk') IS NOT NULL))::text AS creates,
       ((SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user)
         OR (SELECT bool_and(to_regrole(r) IS NOT NULL) FROM unnest($2::text[]) r))::text AS "makesRoles",
       coalesce((SELECT string_agg(quote_ident(n.nspname), ', ') FROM pg_namespace n WHERE n.nspname IN ($1, 'crosswalk') AND NOT pg_has_role(n.nspowner, 'USAGE') AND NOT has_schema_privilege(n.oid, 'CREATE')), '') AS foreign`,
    [config.targetSchema, ROLES],
  );
  const found = rows[0]!;
  const pending = (await readMigrationState(target, migrations))
    .filter(({ appliedAt }) => appliedAt === null)
    .map(({ migration }) => labelOf(migration));
  const lacksRoles = pending.includes(MAKING_ROLES) && found.makesRoles !== 'true';
  const rights = [
    ...(found.creates === 'true' ? [] : [`GRANT CREATE ON DATABASE ${found.database} TO ${found.role};`]),
    ...(found.foreign === '' ? [] : [`GRANT CREATE, USAGE ON SCHEMA ${found.foreign} TO ${found.role};`]),
    ...(lacksRoles ? [`ALTER ROLE ${found.role} CREATEROLE;`] : []),
  ];
  return [
    Number(found.number) < OLDEST_VERSION
      ? failing('version', `PostgreSQL ${found.version}`, 'The target must be PostgreSQL 15 or later.')
      : ok('version', `PostgreSQL ${found.version}`),
    ...(found.standby === 'true'
      ? [failing('writable', 'The target is a standby', 'Point TARGET_OWNER_URL at the primary.')]
      : []),
    rights.length === 0
      ? ok('owner', `role ${found.role} may make what is missing`)
      : failing(
          'owner',
          `Role ${found.role} lacks rights${lacksRoles ? `: ${MAKING_ROLES} makes the roles ${ROLES.join(', ')}, which needs CREATEROLE` : ''}`,
          `Run as a superuser: ${rights.join(' ')}${lacksRoles ? ' CREATEROLE may be taken back once every migration is applied.' : ''}`,
        ),
  ];
}

/** Checks the rights of the owner of the legacy tables, problems that crosswalk cannot fix, and the amount of data. */
async function checkLegacy({ legacy, context: { config } }: PhaseRun): Promise<Check[]> {
  const { ok, failing } = checksOf('source');
  const capture = captureOf(config);
  const source = await readSource(legacy, capture);
  const unmendable = findShortcomings(source, capture).filter(({ sql }) => sql.length === 0);
  const { rows } = await legacy.query<
    Record<'role' | 'database' | 'creates' | 'others' | 'bytes' | 'published', string>
  >(
    `SELECT current_user::text AS role, current_database()::text AS database, has_database_privilege(current_database(), 'CREATE')::text AS creates,
       (SELECT count(*) FROM pg_catalog.pg_publication WHERE pubname = $3)::text AS published,
       coalesce((SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p') AND NOT pg_has_role(c.relowner, 'USAGE')), '') AS others,
       coalesce((SELECT sum(pg_total_relation_size(c.oid)) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind = 'r'), 0)::text AS bytes`,
    [capture.schema, capture.tables, capture.publication],
  );
  const found = rows[0]!;
  return [
    ...unmendable.map(({ what, remedy }) => failing('capture', what, remedy)),
    ...(unmendable.length === 0 ? [ok('capture', 'what the captured tables lack can be set by their owner')] : []),
    found.others === ''
      ? ok('owner', `role ${found.role} owns the captured tables`)
      : failing(
          'owner',
          `Role ${found.role} does not own ${found.others}`,
          "Give the owner's address in LEGACY_OWNER_URL.",
        ),
    ...(found.creates === 'true' || found.published !== '0'
      ? []
      : [
          failing(
            'owner',
            `Role ${found.role} may not make a publication`,
            `Run as a superuser: GRANT CREATE ON DATABASE ${found.database} TO ${found.role};`,
          ),
        ]),
    ok(
      'size',
      `the captured tables take ${toBytesText(BigInt(found.bytes))}: Kafka and the target need about as much each, and the target's log once more while it loads`,
    ),
  ];
}

/** Legacy rows that contradict each other, by the checks of the pipeline. */
async function checkLegacyRows({ legacy, context: { config, pipeline } }: PhaseRun): Promise<Check[]> {
  return await readLegacyChecks(legacy, config.legacySchema, pipeline.checks?.legacy ?? []);
}

/** Doctor's checks of the servers. The requirements of the stream count only if the run includes the load phase. */
async function checkServers({ context, options }: PhaseRun): Promise<Check[]> {
  const needsStream = phaseNames.indexOf(options.to) >= phaseNames.indexOf('load');
  const soften = (check: Check): Check =>
    check.state === 'failing' && !needsStream ? { ...check, state: 'warning' } : check;
  try {
    return (await examine(context))
      .filter(
        ({ area, name, what, remedy }) =>
          // Excludes what the capture phase fixes, what the schema phase and the connector create, and what only runs later.
          !(area === 'source' && name === 'capture') &&
          area !== 'target' &&
          !(area === 'Kafka' && (name === 'position' || (name === 'topics' && what.endsWith('does not exist')))) &&
          (area !== 'pipeline' || (name === 'server' && remedy?.startsWith('Run `crosswalk migrate up`') !== true)),
      )
      .map((check) => (check.area === 'source' ? check : soften(check)));
  } catch (thrown) {
    const { message, remedy } = toCrosswalkError(thrown, 'servers');
    return [soften(checksOf('pipeline').failing('server', message, remedy))];
  }
}
