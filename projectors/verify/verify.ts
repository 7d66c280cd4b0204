import type pg from 'pg';
import type { Config } from '../../runtime/config.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import { quoteIdent, quoteTable } from '../../schemas/quote.ts';
import type { Checks } from '../pipeline.ts';
import type { Projection, Tenants } from '../projection.ts';
import { compareBackward, ownersOf } from './backward.ts';
import { type Check, countExceptions, type Note, readNotes, runChecks, toTotalChecks } from './checks.ts';
import { COUNTED_ROWS, createFindings, LEGACY_TOTAL, type Unmappable } from './findings.ts';
import { compareFolds } from './folds.ts';
import { compareForward } from './forward.ts';
import { toKeyTexts } from './legacy-rows.ts';
import { createLooks, type LookLimits } from './looks.ts';
import { createPace } from './pace.ts';
import { verifiedTables } from './plan.ts';
import {
  createRun,
  type Difference,
  findUnfinishedRun,
  finishRun,
  type PartProgress,
  type Run,
  type RunOptions,
  type RunProgress,
  readCounts,
  readDifferences,
  resumeRun,
  saveRun,
  toMappingText,
} from './run-store.ts';
import { openSessions, type Sessions } from './sessions.ts';
import type { VerifyStatus } from './status.ts';
import { type Counts, createTally, noCounts, type Sum } from './tally.ts';

/** Result for one table. `differences`: only the first ones. */
export interface TableVerification extends Readonly<Counts> {
  readonly table: string;
  readonly differences: readonly Difference[];
}

/** Result of a verification. `ok`: every row is equal and settled, every check holds, and there is no open dead letter. */
export interface Verification {
  readonly ok: boolean;
  readonly run: string;
  /** Everything committed in the legacy database before this time is covered. Its clock, as PostgreSQL text. */
  readonly through: string;
  readonly legacyRows: number;
  readonly targetRows: number;
  readonly seconds: number;
  readonly fences: number;
  readonly tables: readonly TableVerification[];
  /** Sums of every numeric column over the compared rows. */
  readonly sums: readonly Sum[];
  readonly checks: readonly Check[];
  /** Shown beside the totals. They do not affect `ok`. */
  readonly notes: readonly Note[];
  readonly unmappable: readonly Unmappable[];
  readonly exceptions: { readonly rejects: number; readonly deadLetters: number; readonly parked: number };
}

export interface VerifyOptions {
  readonly kafka: Kafka;
  /** Maximum number of differences returned per table. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Rows compared on both sides, and an estimate of the total. */
  readonly onRows?: (done: number, total: number) => void;
  /** Verify only the rows of this tenant. */
  readonly tenant?: string | null;
  /** Maximum rows per second; null: no limit. */
  readonly maxRate?: number | null;
  /** Resume the last unfinished run. */
  readonly resume?: boolean;
  readonly kind?: RunOptions['kind'];
  readonly chunkRows?: number;
  /** Time allowed for the pipeline to apply committed changes; 0: no limit. */
  readonly fenceTimeoutMs?: number;
  /** Check every row behind a fence, not only those that differ at first. */
  readonly suspectAll?: boolean;
  readonly limits?: LookLimits;
  /** Approximate number of differences kept per table. */
  readonly keptLines?: number;
  readonly status?: VerifyStatus;
  /** The pipeline's own checks on whole tables. */
  readonly checks?: Checks;
}

/** Legacy rows per chunk. Three chunks are in memory at a time. The configuration may set a lower number. */
const CHUNK_ROWS = 500;
const FENCE_TIMEOUT_MS = 600_000;
const SAVE_EVERY_MS = 2000;
const NOT_BEGUN: PartProgress = { after: null, done: false };

/**
 * Compares every projected row with what the legacy rows imply, in both directions, while the pipeline runs: see docs/verification.md. Findings are
 * saved along the way, so that a stopped run can be resumed. Throws `not_reached` if the pipeline does not apply committed changes, and any error of the
 * servers.
 */
export async function verifyAll(
  config: Config,
  projections: readonly Projection[],
  tenants: Tenants,
  options: VerifyOptions,
): Promise<Verification> {
  const { tenant = null, fenceTimeoutMs = FENCE_TIMEOUT_MS, signal } = options;
  const sessions = await openSessions(config, options.kafka, projections, {
    ...{ tenant, timeoutMs: fenceTimeoutMs, signal, totals: options.checks?.totals ?? [] },
    ...(options.limits?.sessions === undefined ? {} : { lookers: options.limits.sessions }),
  });
  const { status } = options;
  const timer = setInterval(() => {
    if (status === undefined) return;
    status.waitingSinceMs = sessions.fence.waitingSinceMs();
    status.fences = fencesBefore + sessions.fence.passed();
  }, 250);
  const fencesBefore = status?.fences ?? 0;
  try {
    return await verifyIn(sessions, tenants, config.rejectsTables, {
      chunkRows: Math.min(CHUNK_ROWS, config.chunkRows),
      ...options,
    });
  } finally {
    clearInterval(timer);
    if (status !== undefined) {
      status.waitingSinceMs = null;
      status.fences = fencesBefore + sessions.fence.passed();
    }
    await sessions.close();
  }
}

async function verifyIn(
  sessions: Sessions,
  tenants: Tenants,
  rejectsTables: Config['rejectsTables'],
  options: VerifyOptions,
): Promise<Verification> {
  const { plans, relations, legacy, target, store, fence } = sessions;
  const { signal, tenant = null, chunkRows = CHUNK_ROWS, status, checks: wanted = {} } = options;
  const projections = plans.map(({ projection }) => projection);
  const runOptions: RunOptions = { kind: options.kind ?? 'once', tenant, mapping: toMappingText(projections) };
  const startedAtMs = performance.now();
  if (status !== undefined) status.state = 'waiting';
  const run = await openRun(sessions, runOptions, options.resume ?? false);
  // From here on, every comparison sees everything applied that was committed before the run.
  await fence.pass(legacy, projections);
  const touch = () => {
    if (status !== undefined) status.lastProgressMs = performance.now();
  };
  touch();
  if (status !== undefined) status.state = 'comparing';

  const tally = createTally(run.progress.sums);
  const findings = createFindings(tally, run.progress.unmappable);
  const pace = createPace(options.maxRate ?? null, signal, touch);
  const looks = createLooks({
    ...{ sessions: sessions.lookers, fence, tenants, findings, signal, onLook: touch },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const parts: Record<string, PartProgress> = { ...run.progress.parts };
  let { legacyRows, targetRows } = run.progress;
  let savedAtMs = performance.now();
  const secondsSoFar = () => run.progress.seconds + (performance.now() - startedAtMs) / 1000;

  const save = async () => {
    savedAtMs = performance.now();
    const progress: RunProgress = {
      ...{ parts: { ...parts }, legacyRows, targetRows, sums: tally.sums(), unmappable: findings.unmappable },
      pending: looks.waiting().map(({ plan, legacyKey, strays }) => ({
        projection: plan.projection.name,
        legacyKey,
        strays: [...strays].flatMap(([table, ids]) => [...ids].map((id) => [table, id] as const)),
      })),
      seconds: secondsSoFar(),
    };
    const found = { counts: tally.takeCounts(), differences: findings.takeDifferences() };
    try {
      await saveRun(store, run.id, { ...found, progress }, options.keptLines);
    } catch (error) {
      // Saved progress must never be ahead of saved findings.
      tally.putBack(found.counts);
      findings.putBack(found.differences);
      throw error;
    }
  };
  // Runs while the next rows are compared. Findings and progress were taken together when the save began.
  let saving: Promise<void> = Promise.resolve();
  const saveBeside = async () => {
    await saving;
    saving = save();
    saving.catch(() => undefined);
  };
  const saveAll = async () => {
    await saving;
    await save();
  };
  const total = await estimateRows(sessions);
  const note = async (part: string, progress: PartProgress, rows: { legacy?: number; target?: number }) => {
    parts[part] = progress;
    legacyRows += rows.legacy ?? 0;
    targetRows += rows.target ?? 0;
    options.onRows?.(legacyRows + targetRows, Math.max(total, legacyRows + targetRows));
    if (status !== undefined) {
      status.rows += (rows.legacy ?? 0) + (rows.target ?? 0);
      status.suspects = looks.waiting().length;
    }
    touch();
    if (performance.now() - savedAtMs > SAVE_EVERY_MS) await saveBeside();
  };
  const common = { legacy, target, tenant, findings, looks, pace, signal };
  const begin = (part: string) => parts[part] ?? NOT_BEGUN;

  let checking: ReturnType<typeof checkWhole>;
  try {
    restore(run, sessions, looks);
    for (const plan of plans) {
      const part = `forward ${plan.projection.name}`;
      if (begin(part).done) continue;
      await compareForward({
        ...{ ...common, plan, tenants, chunkRows, from: begin(part), suspectAll: options.suspectAll ?? false },
        relation: relations.get(plan.projection.source)!,
        onProgress: (rows, progress) => note(part, progress, { legacy: rows }),
      });
    }
    await looks.drain();
    await saveAll();
    // These checks alone join whole tables. They run beside the backward comparison, which loads this process more than the databases.
    checking = checkWhole(sessions.whole, wanted, tenant);
    checking.catch(() => undefined);
    const folded = new Set(
      plans.flatMap(({ merged }) => merged.flatMap(({ targets }) => targets.map(({ table }) => table))),
    );
    for (const table of new Set(plans.flatMap(({ owned }) => owned.map(({ target: of }) => of.table)))) {
      const part = `backward ${table}`;
      if (begin(part).done) continue;
      await compareBackward({
        ...{ ...common, run: run.id, table, owners: ownersOf(table, plans, relations), from: begin(part) },
        isFolded: folded.has(table),
        onProgress: (rows, progress) => note(part, progress, { target: rows }),
      });
    }
    for (const plan of plans) {
      for (const merged of plan.merged) {
        const part = `folds ${merged.aggregate.name}`;
        if (begin(part).done) continue;
        await compareFolds({
          ...{ ...common, plan, merged, plans, relations, chunkRows, lineages: sessions.whole, from: begin(part) },
          onProgress: (rows, progress) => note(part, progress, { target: rows }),
        });
      }
    }
    await looks.drain();
    await saveAll();
  } catch (error) {
    // Keep all findings for --resume. The original error matters more than a failed save.
    await fence.close();
    await looks.close();
    await saving.catch(() => undefined);
    await save().catch(() => undefined);
    throw error;
  } finally {
    await looks.close();
  }

  const sums = tally.sums();
  const totals = new Map(
    sums.filter(({ table }) => table === LEGACY_TOTAL).map(({ column, expected }) => [column, expected]),
  );
  const columns = sums.filter(({ table }) => table !== LEGACY_TOTAL && table !== COUNTED_ROWS);
  if (status !== undefined) status.state = 'checking';
  const whole = await checking;
  const checks = [...toTotalChecks(wanted.totals ?? [], totals, sums), ...whole.checks];
  const { notes } = whole;
  const exceptions = await countExceptions(store, rejectsTables, tenant);
  const counts = await readCounts(store, run.id);
  const tables = verifiedTables(projections);
  const isEqual = [...counts.values()].every((of) => of.missing + of.extra + of.differing + of.unsettled === 0);
  const { unmappable } = findings;
  const ok = isEqual && checks.every((check) => check.ok) && unmappable.length === 0 && exceptions.deadLetters === 0;
  await finishRun(store, run, runOptions, tables, ok);
  const differences = Map.groupBy(await readDifferences(store, run.id, options.limit), ({ table }) => table);
  return {
    ...{ ok, run: run.id, through: run.through, legacyRows, targetRows, seconds: secondsSoFar() },
    fences: fence.passed(),
    tables: tables.map((table) => ({
      table,
      ...(counts.get(table) ?? noCounts()),
      differences: differences.get(table) ?? [],
    })),
    ...{ sums: columns, checks, notes, unmappable, exceptions },
  };
}

/** Checks within the new tables alone. */
async function checkWhole(whole: pg.ClientBase, { target, notes }: Checks, tenant: string | null) {
  return { checks: await runChecks(whole, target, tenant), notes: await readNotes(whole, notes, tenant) };
}

async function openRun({ legacy, store }: Sessions, options: RunOptions, isResumed: boolean): Promise<Run> {
  // Continuous verification resumes by itself.
  const known = isResumed
    ? await resumeRun(store, options)
    : options.kind === 'watch'
      ? await findUnfinishedRun(store, options)
      : null;
  if (known !== null) return known;
  const { rows } = await legacy.query<{ now: string }>('SELECT clock_timestamp() AS now');
  return await createRun(store, options, rows[0]!.now);
}

/** Restores the suspects of a stopped run. */
function restore(run: Run, { plans, relations }: Sessions, looks: ReturnType<typeof createLooks>): void {
  for (const { projection, legacyKey, strays } of run.progress.pending) {
    const plan = plans.find((candidate) => candidate.projection.name === projection)!;
    const relation = relations.get(plan.projection.source)!;
    const byTable = Map.groupBy(strays, ([table]) => table);
    looks.add([
      {
        ...{ plan, relation, legacyKey, keyTexts: toKeyTexts(relation, legacyKey)! },
        strays: new Map([...byTable].map(([table, rows]) => [table, new Set(rows.map(([, id]) => id))])),
      },
    ]);
  }
}

/** Rows on both sides, as PostgreSQL estimates them. `pg_partition_tree` returns no row for a table that is neither partitioned nor a partition. */
async function estimateRows({ legacy, target, plans, relations }: Sessions): Promise<number> {
  const estimate = async (client: pg.ClientBase, tables: readonly string[]) => {
    const { rows } = await client.query<{ rows: string }>(
      `SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows FROM unnest($1::text[]) AS t (name)
       LEFT JOIN LATERAL pg_partition_tree(t.name::regclass) p ON true
       JOIN pg_class c ON c.oid = coalesce(p.relid, t.name::regclass) WHERE coalesce(p.isleaf, true)`,
      [tables],
    );
    return Number(rows[0]!.rows);
  };
  const legacyTables = plans.map(({ projection }) => {
    const { schema, table } = relations.get(projection.source)!;
    return quoteTable(schema, table);
  });
  const owned = new Set(plans.flatMap((plan) => plan.owned.map(({ target: of }) => of.table)));
  return (await estimate(legacy, legacyTables)) + (await estimate(target, [...owned, 'contribution'].map(quoteIdent)));
}
