import type pg from 'pg';
import { assertBound } from '../../connectors/position.ts';
import { readIdentity, readServerState } from '../../connectors/slot.ts';
import { readStoredPosition } from '../../connectors/stored-position.ts';
import { topicSpecs } from '../../connectors/topics.ts';
import { type Check, checksOf, toLogChecks, toTopicChecks } from '../../monitor/checks.ts';
import { toFindings } from '../../monitor/findings.ts';
import { type PipelineState, readPipelineState } from '../../monitor/pipeline-state.ts';
import { readSourceChecks } from '../../monitor/source-checks.ts';
import { readTargetChecks } from '../../monitor/target-checks.ts';
import { migrationsOf, type Pipeline } from '../../projectors/pipeline.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { type Config, topicOf, transactionTopicOf } from '../../runtime/config.ts';
import { createKafka } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { readWithin } from '../../runtime/reading.ts';
import { COMPATIBILITY, createRegistry } from '../../schemas/avro/registry.ts';
import { toModeRefusal } from '../../schemas/avro/registry-refusal.ts';
import { type CommandContext, print, printJson } from '../context.ts';

const LIMIT_MS = 15_000;
const MAX_LSN = 0xffff_ffff_ffff_ffffn;

/** Checks everything that the pipeline needs, before and while it runs. Returns whether nothing fails; warnings do not count. */
export async function doctor(context: CommandContext, options: { json?: boolean }): Promise<boolean> {
  const checks = await examine(context);
  const failing = checks.filter((check) => check.state === 'failing').length;
  const warnings = checks.filter((check) => check.state === 'warning').length;
  if (options.json) printJson({ state: failing > 0 ? 'failing' : warnings > 0 ? 'warning' : 'ok', checks });
  else {
    for (const line of toLines(checks)) print(line);
    print(failing + warnings === 0 ? 'all is well' : `${failing} failing, ${warnings} to look at`);
  }
  return failing === 0;
}

/** Runs every check, server by server. Never changes anything. */
export async function examine(
  context: Pick<CommandContext, 'pipeline' | 'config' | 'log' | 'signal'>,
): Promise<Check[]> {
  const { config } = context;
  const state = await readPipelineState(config, context.pipeline.projections, context);
  const checks = await Promise.all([
    checkSource(context, state),
    checkKafka(context, state),
    checkRegistry(config),
    checkTarget(context, state),
    checkPipeline(config, state),
  ]);
  return checks.flat();
}

/** Output of `doctor`: one line per check, with the remedy below it. */
export function toLines(checks: readonly Check[]): string[] {
  return checks.flatMap(({ area, name, state, what, remedy }) => [
    `${state.padEnd(8)} ${`${area} ${name}`.padEnd(20)} ${what.replace(/\.?$/, '')}`,
    ...(remedy === null ? [] : [`${' '.repeat(30)}${remedy}`]),
  ]);
}

/** Runs the checks of one server. If it cannot be reached, returns that as the check. */
async function within(
  area: Check['area'],
  what: string,
  read: (signal: AbortSignal) => Promise<readonly Check[]>,
): Promise<readonly Check[]> {
  const reading = await readWithin(LIMIT_MS, what, async (signal) => ({ checks: await read(signal) }));
  return reading.state === 'up' ? reading.checks : [checksOf(area).failing('answers', reading.problem, reading.remedy)];
}

async function checkSource(
  { pipeline, config }: Pick<CommandContext, 'pipeline' | 'config'>,
  state: PipelineState,
): Promise<readonly Check[]> {
  if (state.legacy.state !== 'up') return [];
  const position = state.kafka.state === 'up' ? state.kafka.position : null;
  return within('source', 'legacy database', (signal) =>
    withClient(config.legacyUrl(), '-c row_security=off', async (client) => [
      ...(await readSourceChecks(client, config, position, signal, pipeline.projections)),
      ...(await checkTenants(client, pipeline, config)),
    ]),
  );
}

/** Checks whether the pinned tenant settings match those in the legacy database. */
async function checkTenants(client: pg.Client, pipeline: Pipeline, config: Config): Promise<Check[]> {
  const { ok, warning } = checksOf('source');
  if (pipeline.tenants.hints === undefined) return [];
  const hints = await pipeline.tenants.hints(client, config.legacySchema, readTenants(pipeline));
  if (hints.length === 0) return [ok('tenants', 'settings are pinned as the legacy database names them')];
  const named = hints
    .slice(0, 5)
    .map(({ tenantId, setting, legacy, pinned }) => `${tenantId} ${setting} ${legacy} (${pinned})`);
  const more = hints.length > named.length ? `, and ${hints.length - named.length} more` : '';
  return [
    warning(
      'tenants',
      `Settings of tenants are pinned otherwise than the legacy database names them: ${named.join(', ')}${more}`,
      'Run `crosswalk tenants pin`, deploy its file, and rebuild what depends on it.',
    ),
  ];
}

async function checkKafka(
  { config, log }: Pick<CommandContext, 'config' | 'log'>,
  state: PipelineState,
): Promise<readonly Check[]> {
  if (state.kafka.state !== 'up') return [];
  const specs = topicSpecs(config);
  return within('Kafka', 'Kafka', async () => {
    const kafka = createKafka(config.kafka(), log);
    const topics = await kafka.fetchTopicSettings(specs.map(({ topic }) => topic));
    const offsets = await kafka.fetchOffsets(config.tables.map((table) => topicOf(config, table)));
    return [
      ...toTopicChecks(specs, topics),
      ...toLogChecks(offsets, state.target.state === 'up' ? state.target.offsets : []),
      ...(state.legacy.state === 'up' ? [await checkPosition(config, log)] : []),
    ];
  });
}

/** The same check as the connector makes when it starts: whether the stored position matches the server, its slot and the log. */
async function checkPosition(config: Config, log: Log): Promise<Check> {
  const { ok, failing } = checksOf('Kafka');
  const kafka = createKafka(config.kafka(), log);
  const reading = await readWithin(LIMIT_MS, 'stored position', async () => {
    const bound = {
      ...(await readIdentity(config.legacyUrl())),
      slot: config.slot,
      clusterId: await kafka.fetchClusterId(),
    };
    const readServer = () => withClient(config.legacyUrl(), '', (client) => readServerState(client, config.slot));
    // The connector continues meanwhile: its confirmed LSN is read before its position, and the end of the server's WAL after it.
    const before = await readServer();
    const position = await readStoredPosition(kafka, config, bound, { ...before, walEnd: MAX_LSN });
    if (position !== null) assertBound(position, bound, { ...(await readServer()), confirmedLsn: before.confirmedLsn });
    return { position };
  });
  if (reading.state !== 'up') return failing('position', reading.problem, reading.remedy);
  return ok(
    'position',
    reading.position === null ? 'none is stored yet' : 'belongs to this server, its slot and this log',
  );
}

async function checkRegistry(config: Config): Promise<readonly Check[]> {
  const { ok, warning, failing } = checksOf('registry');
  return within('registry', 'schema registry', async () => {
    const { url: baseUrl, ...credentials } = config.registry();
    const registry = createRegistry({ baseUrl, ...credentials });
    try {
      const topics = [...config.tables.map((table) => topicOf(config, table)), transactionTopicOf(config)];
      const subjects = topics.flatMap((topic) => [`${topic}-key`, `${topic}-value`]);
      const levels = new Map<string, string | null>();
      for (const subject of subjects) levels.set(subject, await registry.compatibilityOf(subject));
      const wrong = [...levels].flatMap(([subject, level]): Check[] =>
        level === null || level === COMPATIBILITY
          ? []
          : [
              failing(
                'compatibility',
                `Subject ${subject} has compatibility ${level}: a schema that older readers cannot read would be let in`,
                `Set it to ${COMPATIBILITY} (PUT /config/${subject}).`,
              ),
            ],
      );
      for (const { subject, mode } of await registry.closedModes(subjects)) {
        const { message, remedy } = toModeRefusal(mode, subject);
        // Every subject gets its rule before its first schema, so one without a rule is not registered yet.
        const isNeeded = [...levels].some(([of, level]) => level === null && (subject ?? of) === of);
        wrong.push((isNeeded ? failing : warning)('mode', message, remedy));
      }
      return wrong.length > 0
        ? wrong
        : [ok('compatibility', `answers; no subject has another rule than ${COMPATIBILITY}`)];
    } finally {
      registry.close();
    }
  });
}

async function checkTarget(
  { pipeline, config }: Pick<CommandContext, 'pipeline' | 'config'>,
  state: PipelineState,
): Promise<readonly Check[]> {
  if (state.target.state === 'down') return [];
  return within('target', 'target database', () =>
    withClient(config.targetUrl(), '', (client) =>
      readTargetChecks(client, { ...pipeline, migrations: migrationsOf(pipeline) }),
    ),
  );
}

/** Findings of `status`: servers, slot, lag, initial load, waiting changes, dead letters. */
function checkPipeline(config: Config, state: PipelineState): Check[] {
  const { ok } = checksOf('pipeline');
  const findings = toFindings(state, config);
  const abouts = ['server', 'connector', 'lag', 'load', 'parked', 'dead letters'] as const;
  return abouts.flatMap((about) => {
    const found = findings.filter((finding) => finding.about === about);
    if (found.length === 0) return [ok(about, 'nothing to report')];
    return found.map(
      ({ level, what, remedy }): Check => ({ area: 'pipeline', name: about, state: level, what, remedy }),
    );
  });
}

async function withClient<T>(url: string, options: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(url, 'doctor', `${options} -c statement_timeout=10s`.trim());
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
