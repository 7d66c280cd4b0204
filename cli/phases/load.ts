import { setTimeout as sleep } from 'node:timers/promises';
import { type Check, checksOf } from '../../monitor/checks.ts';
import { toFindings } from '../../monitor/findings.ts';
import { readPipelineState } from '../../monitor/pipeline-state.ts';
import { statesOf } from '../../projectors/projection.ts';
import { keepUpAfterFilling } from '../../projectors/upkeep.ts';
import { targetTables } from '../../projectors/write/catalog.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { readHoldings } from '../../schemas/backup/coverage.ts';
import { retryLocked } from '../../schemas/ddl-retry.ts';
import { quoteIdent, quoteTable } from '../../schemas/quote.ts';
import { examine } from '../commands/doctor.ts';
import { countLegacyRows, readLoadProgress } from '../pipeline-view.ts';
import { toCountText } from '../quantity-text.ts';
import { findCoverNow } from './drop-guard.ts';
import { checkStages } from './opt-in.ts';
import { type Counts, nothingToDo, type Outcome, type Phase, type PhaseRun } from './phase.ts';
import { readWorkers } from './schema.ts';
import { lockProjectedSql, planUnload } from './unload.ts';

const POLL_MS = 500;
/** Pause between two checks for the reason of a delay. */
const LOOK_MS = 10_000;

/** The initial load. Other processes do it; this one watches. */
export const load: Phase = {
  name: 'load',
  summary:
    'waits until `crosswalk connect` and `crosswalk project`, which run elsewhere, have applied every legacy row',
  rollbackSummary:
    'removes every projected row and the projectors’ progress: they fill the tables again from the log when they start',
  forward: {
    check: checkForward,
    plan: async (run) => {
      const { isDone } = await readProgress(run, 0);
      if (isDone) return nothingToDo;
      const notes = [
        'no statement is run: start `crosswalk connect` and `crosswalk project` elsewhere, if they do not run yet',
      ];
      return { isNeeded: true, sections: [], notes };
    },
    count,
    work: watch,
    confirm: confirmForward,
    asks: false,
    backsUp: true,
  },
  back: {
    check: checkBack,
    plan: async ({ context, target, options }) => {
      const schema = context.config.targetSchema;
      const statements = await planUnload(target, schema);
      const sql = [
        'BEGIN;',
        `SET LOCAL lock_timeout = ${options.lockTimeoutMs};`,
        'SET LOCAL statement_timeout = 0;',
        ...(statements.length === 0 ? [] : [`${await lockProjectedSql(target, schema)};`]),
        ...statements.map((one) => `${one};`),
        'COMMIT;',
      ];
      return {
        isNeeded: statements.length > 0,
        sections:
          statements.length === 0
            ? []
            : [{ database: 'target', title: 'projected rows and progress', sql: sql.join('\n') }],
        notes: [],
      };
    },
    count,
    work: unload,
    confirm: confirmBack,
    asks: true,
  },
};

/** The failing checks of doctor, except those that only show that the load has not begun or is still running. */
async function checkForward({ context }: PhaseRun): Promise<Check[]> {
  const { ok } = checksOf('pipeline');
  try {
    const checks = await examine(context);
    const failing = checks.filter(({ state }) => state === 'failing');
    const isInTheWay = ({ area, name, what }: Check) =>
      area !== 'pipeline' || name === 'server' || (name === 'connector' && !what.startsWith('No position is stored'));
    const left = failing.filter(isInTheWay);
    return left.length > 0 ? left : [ok('doctor', 'nothing that keeps the load from running')];
  } catch (thrown) {
    const { message, remedy } = toCrosswalkError(thrown, 'servers');
    return [checksOf('pipeline').failing('server', message, remedy)];
  }
}

/** Number of legacy rows that the projections of their tables have applied. Done once the histories, which read the same log, have caught up, too. */
async function readProgress({ context: { pipeline, config, log }, target }: PhaseRun, total: number) {
  const kafka = createKafka(config.kafka(), log);
  try {
    const all = pipeline.projections;
    const { applied, isDone } = await readLoadProgress(config, kafka, target, statesOf(all), total);
    return { applied, isDone: isDone && (await readLoadProgress(config, kafka, target, all, total)).isDone };
  } catch (thrown) {
    // The connector has not created its topics yet, or the new schema does not exist yet.
    if (['server_down', 'schema_missing'].includes(toCrosswalkError(thrown, 'Kafka').code))
      return { applied: 0, isDone: false };
    throw thrown;
  }
}

async function watch(run: PhaseRun): Promise<Record<string, unknown>> {
  const { context, legacy, options, say } = run;
  const startedAtMs = performance.now();
  const total = await countLegacyRows(legacy, context.config, statesOf(context.pipeline.projections));
  const progress = run.progress('applied', total);
  let lookAtMs = startedAtMs + LOOK_MS;
  const told = new Set<string>();
  try {
    for (;;) {
      context.signal.throwIfAborted();
      const { applied, isDone } = await readProgress(run, total);
      progress.update(applied);
      if (isDone) break;
      if (options.waitSeconds !== null && performance.now() - startedAtMs > options.waitSeconds * 1000)
        throw new CrosswalkError(
          'not_reached.load',
          `The load is not done within ${options.waitSeconds} s: ${toCountText(applied)} of ${toCountText(total)} rows`,
        );
      if (performance.now() > lookAtMs) {
        lookAtMs = performance.now() + LOOK_MS;
        const state = await readPipelineState(context.config, context.pipeline.projections, context);
        for (const { level, about, what, remedy } of toFindings(state, context.config)) {
          if (about === 'load' || about === 'lag' || told.has(what)) continue;
          told.add(what);
          say(`${level}: ${what}. ${remedy}`);
        }
      }
      await sleep(POLL_MS, undefined, { signal: context.signal }).catch(() => undefined);
    }
  } finally {
    progress.close();
  }
  // The first queries of the application must be correct and fast once this phase reports that it is done.
  await keepUpAfterFilling(run.target);
  return { legacyRows: total, seconds: Math.round((performance.now() - startedAtMs) / 1000) };
}

/** Legacy rows by captured table; live projected rows and rows of the application by new table; changes that could not be applied. */
async function count({ legacy, target, context: { pipeline, config } }: PhaseRun): Promise<Counts> {
  const counts: Record<string, Record<string, number>> = {};
  const sources = new Set([...config.tables, ...pipeline.projections.map((projection) => projection.source)]);
  for (const source of sources) {
    const { rows: there } = await legacy.query<{ name: string | null }>('SELECT to_regclass($1)::text AS name', [
      quoteTable(config.legacySchema, source),
    ]);
    if (there[0]!.name === null) continue;
    const { rows } = await legacy.query<{ n: string }>(
      `SELECT count(*)::text AS n FROM ONLY ${quoteTable(config.legacySchema, source)}`,
    );
    counts[`legacy ${source}`] = { rows: Number(rows[0]!.n) };
  }
  for (const table of new Set(pipeline.projections.flatMap(targetTables))) {
    const { rows: found } = await target.query<{ name: string | null }>(`SELECT to_regclass($1)::text AS name`, [
      `${config.targetSchema}.${table}`,
    ]);
    if (found[0]!.name === null) continue;
    const { rows } = await target.query<{ projected: string; app: string }>(
      `SELECT count(*) FILTER (WHERE origin = 'cdc')::text AS projected, count(*) FILTER (WHERE origin <> 'cdc')::text AS app FROM ${quoteTable(config.targetSchema, table)}`,
    );
    counts[`${config.targetSchema}.${table}`] = { projected: Number(rows[0]!.projected), app: Number(rows[0]!.app) };
  }
  const { rows: found } = await target.query<{ there: string }>(
    `SELECT (to_regclass('crosswalk.dead_letter') IS NOT NULL AND to_regclass('crosswalk.parked_change') IS NOT NULL)::text AS there`,
  );
  if (found[0]!.there === 'true') {
    const { rows } = await target.query<{ letters: string; parked: string }>(
      `SELECT (SELECT count(*) FROM crosswalk.dead_letter WHERE resolved_at IS NULL)::text AS letters, (SELECT count(*) FROM crosswalk.parked_change)::text AS parked`,
    );
    counts['not applied'] = { 'dead letters': Number(rows[0]!.letters), parked: Number(rows[0]!.parked) };
  }
  return counts;
}

async function confirmForward(run: PhaseRun, { after }: Outcome): Promise<Check[]> {
  const { ok, failing, warning } = checksOf('pipeline');
  const { pipeline, config } = run.context;
  const empty = statesOf(pipeline.projections).filter(
    (projection) =>
      (after[`legacy ${projection.source}`]?.rows ?? 0) > 0 &&
      targetTables(projection).every((table) => (after[`${config.targetSchema}.${table}`]?.projected ?? 0) === 0),
  );
  const { 'dead letters': letters = 0, parked = 0 } = after['not applied'] ?? {};
  return [
    (await readProgress(run, 0)).isDone
      ? ok('load', 'every legacy row is in the log, and the log is applied')
      : failing('load', 'The load is not done', 'Run this phase again.'),
    ...(empty.length === 0
      ? []
      : [
          failing(
            'rows',
            `No row came of ${empty.map(({ source }) => source).join(', ')}`,
            'See `crosswalk status` and the log of the projectors.',
          ),
        ]),
    letters === 0
      ? ok('dead letters', 'none')
      : warning('dead letters', `${letters} open dead letters`, '`crosswalk dlq list` names them.'),
    ...(parked === 0
      ? []
      : [
          warning(
            'parked',
            `${parked} changes wait for their cause`,
            'They are applied when it comes; `crosswalk status` says more.',
          ),
        ]),
  ];
}

async function checkBack(run: PhaseRun): Promise<Check[]> {
  const { ok, failing } = checksOf('target');
  const schema = run.context.config.targetSchema;
  const statements = await planUnload(run.target, schema);
  if (statements.length === 0) return [ok('rows', 'there is nothing to remove')];
  const workers = (await readWorkers(run)).filter((name) => !name.startsWith('crosswalk-wait'));
  const { rows } = await run.target.query<{ table: string; column: string; refers: string; own: string }>(REFERENCES, [
    schema,
  ]);
  const blocking: string[] = [];
  for (const { table, column, refers, own } of rows) {
    const { rows: found } = await run.target.query(
      `SELECT FROM ${quoteTable(schema, table)} a JOIN ${quoteTable(schema, refers)} p ON p.id = a.${quoteIdent(column)} WHERE ${own === 'true' ? '' : `a.origin <> 'cdc' AND `}p.origin = 'cdc' LIMIT 1`,
    );
    if (found.length > 0) blocking.push(`${schema}.${table}.${column}`);
  }
  const discarded = await readHoldings(run.target, ['crosswalk'], ({ name }) => name === 'dead_letter');
  const isDecided = discarded.some(({ irreplaceable }) => (irreplaceable?.rows ?? 0) > 0);
  return [
    workers.length === 0
      ? ok('at rest', 'no process of crosswalk is connected')
      : failing('at rest', `Still connected: ${workers.join(', ')}`, 'Stop them: they would fill the tables again.'),
    blocking.length === 0
      ? ok('references', 'no row of the application refers to a projected one')
      : failing(
          'references',
          `Rows of the application refer to projected rows: ${blocking.join(', ')}`,
          'Let the application remove them, or leave the load as it is: `crosswalk rebuild` mends rows in place.',
        ),
    !isDecided || run.options.withoutBackup !== null || (await findCoverNow(run.target, discarded)) !== null
      ? ok('backup', 'what the log cannot bring back stays, or is in a verified backup')
      : failing(
          'backup',
          'Decisions about dead letters would be lost, and no verified backup holds them',
          'Run `crosswalk backup create` and `crosswalk backup verify`, or say --without-backup --reason "why".',
        ),
    await checkStages(run.target, 'failing'),
    await checkLog(run),
  ];
}

/** Foreign keys to projected tables, by referring table. `own`: every row of the referring table belongs to the application. */
const REFERENCES = `SELECT c.relname AS table, a.attname AS column, f.relname AS refers,
    (NOT EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attname = 'origin' AND NOT o.attisdropped))::text AS own FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
  WHERE k.contype = 'f' AND c.relnamespace = to_regnamespace(quote_ident($1)) AND f.relnamespace = c.relnamespace
    AND EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = f.oid AND o.attname = 'origin')`;

/** If the beginning of the log is missing, or no server holds it, the log cannot restore every row. */
async function checkLog({ context }: PhaseRun): Promise<Check> {
  const { ok, failing } = checksOf('Kafka');
  const leave = 'What is removed would not come back from the log: mend this first, or leave the load as it is.';
  try {
    const checks = await examine(context);
    const wrong = checks.find(
      ({ area, name, state, what }) =>
        state !== 'ok' &&
        (area === 'Kafka'
          ? state === 'failing' || name === 'log' || what.endsWith('does not exist')
          : area === 'pipeline' && name === 'server' && state === 'failing'),
    );
    if (wrong !== undefined) return failing('log', wrong.what, leave);
    return checks.some(({ area, name }) => area === 'Kafka' && name === 'log')
      ? ok('log', 'whole, from its beginning')
      : failing('log', 'Kafka does not tell what it holds', leave);
  } catch (thrown) {
    const { message, remedy } = toCrosswalkError(thrown, 'Kafka');
    return failing('log', message, remedy);
  }
}

/** Plans the removal after all other writers are locked out: a row that the application adds in the meantime stays. */
async function unload(run: PhaseRun): Promise<Record<string, unknown>> {
  const { target } = run;
  const options = run.ddl('target');
  let removed: Record<string, number> = {};
  await retryLocked(target, 'the projected tables', options, async () => {
    removed = {};
    await target.query('BEGIN');
    try {
      await target.query(`SET LOCAL lock_timeout = ${options.lockTimeoutMs}`);
      await target.query('SET LOCAL statement_timeout = 0');
      await target.query(await lockProjectedSql(target, run.context.config.targetSchema));
      for (const statement of await planUnload(target, run.context.config.targetSchema))
        removed[statement] = (await target.query(statement)).rowCount ?? 0;
      await target.query('COMMIT');
    } catch (error) {
      await target.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  });
  return { removed };
}

async function confirmBack(_run: PhaseRun, { before, after }: Outcome): Promise<Check[]> {
  const { ok, failing } = checksOf('target');
  const left = Object.keys(after).filter((table) => (after[table]!.projected ?? 0) > 0);
  const lost = Object.keys(before).filter((table) => (after[table]?.app ?? 0) < (before[table]!.app ?? 0));
  return [
    left.length === 0
      ? ok('rows', 'no projected row is left')
      : failing(
          'rows',
          `Projected rows are left in ${left.join(', ')}`,
          'Stop the projectors and run this rollback again.',
        ),
    lost.length === 0
      ? ok('application', 'its rows are all there')
      : failing(
          'application',
          `Rows of the application are gone from ${lost.join(', ')}`,
          'Restore them from the backup.',
        ),
  ];
}
