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

/** What was found of one table. `differences`: the first ones. */
export interface TableVerification extends Readonly<Counts> {
  readonly table: string;
  readonly differences: readonly Difference[];
}

/** What a verification found. `ok` only when every row is equal and settled, every check holds, and there is no open dead letter. */
export interface Verification {
  readonly ok: boolean;
  readonly run: string;
  /** Everything that was committed in the legacy database before is covered. Its clock, PostgreSQL text. */
  readonly through: string;
  readonly legacyRows: number;
  readonly targetRows: number;
  readonly seconds: number;
  readonly fences: number;
  readonly tables: readonly TableVerification[];
  /** Of every numeric column, over the rows that were compared. */
  readonly sums: readonly Sum[];
  readonly checks: readonly Check[];
  /** Shown beside the totals, and no part of making them pass. */
  readonly notes: readonly Note[];
  readonly unmappable: readonly Unmappable[];
  readonly exceptions: { readonly rejects: number; readonly deadLetters: number; readonly parked: number };
}

export interface VerifyOptions {
  readonly kafka: Kafka;
  /** Differences of each table in the answer. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Rows compared on both sides, and an estimate of all. */
  readonly onRows?: (done: number, total: number) => void;
  /** Only the rows of this tenant. */
  readonly tenant?: string | null;
  /** Rows a second at most. */
  readonly maxRate?: number | null;
  /** Go on with the last run that was not finished. */
  readonly resume?: boolean;
  readonly kind?: RunOptions['kind'];
  readonly chunkRows?: number;
  /** How long the pipeline may take to apply what is committed; 0: for ever. */
  readonly fenceTimeoutMs?: number;
  /** Every row is looked at behind a fence, and not only those that differ at first sight. */
  readonly suspectAll?: boolean;
  readonly limits?: LookLimits;
  /** Differences of one table that are kept by name, about. */
  readonly keptLines?: number;
  readonly status?: VerifyStatus;
  /** The pipeline's own, on the whole. */
  readonly checks?: Checks;
}

/** Legacy rows of a chunk, of which three are at hand at a time; less where the configuration says so. */
const CHUNK_ROWS = 500;
const FENCE_TIMEOUT_MS = 600_000;
const SAVE_EVERY_MS = 2000;
const NOT_BEGUN: PartProgress = { after: null, done: false };

/**
 * Compares every projected row with what the legacy rows imply, both ways, while everything goes on: see docs/verification.md. What is found is stored as it is found, so that a run that
 * was stopped can be resumed. Throws `not_reached` where the pipeline does not apply what is committed, and what the servers throw.
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
    return await verifyIn(sessions, tenants, config.rejectsTable, {
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
  rejectsTable: string | null,
  options: VerifyOptions,
): Promise<Verification> {
  const { plans, relations, legacy, target, store, fence } = sessions;
  const { signal, tenant = null, chunkRows = CHUNK_ROWS, status, checks: wanted = {} } = options;
  const projections = plans.map(({ projection }) => projection);
  const runOptions: RunOptions = { kind: options.kind ?? 'once', tenant, mapping: toMappingText(projections) };
  const startedAtMs = performance.now();
  if (status !== undefined) status.state = 'waiting';
  const run = await openRun(sessions, runOptions, options.resume ?? false);
  // Every comparison from here on is of rows with everything applied that was committed before the run.
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
      // What is not saved must not be behind a progress that is.
      tally.putBack(found.counts);
      findings.putBack(found.differences);
      throw error;
    }
  };
  // Beside the rows that come next: what was found and how far that is were taken together when it began.
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
    // They join whole tables, and nothing but these: beside what asks this process more than the databases.
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
    // Whatever was found is kept for --resume; the cause of the end matters more than a failure to save.
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
  const exceptions = await countExceptions(store, rejectsTable, tenant);
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

/** What holds within the new tables alone. */
async function checkWhole(whole: pg.ClientBase, { target, notes }: Checks, tenant: string | null) {
  return { checks: await runChecks(whole, target, tenant), notes: await readNotes(whole, notes, tenant) };
}

async function openRun({ legacy, store }: Sessions, options: RunOptions, isResumed: boolean): Promise<Run> {
  // A verification that is always on goes on by itself.
  const known = isResumed
    ? await resumeRun(store, options)
    : options.kind === 'watch'
      ? await findUnfinishedRun(store, options)
      : null;
  if (known !== null) return known;
  const { rows } = await legacy.query<{ now: string }>('SELECT clock_timestamp() AS now');
  return await createRun(store, options, rows[0]!.now);
}

/** Suspects of a run that was stopped. */
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

/** Rows on both sides, as PostgreSQL estimates them. */
async function estimateRows({ legacy, target, plans, relations }: Sessions): Promise<number> {
  const estimate = async (client: pg.ClientBase, tables: readonly string[]) => {
    const { rows } = await client.query<{ rows: string }>(
      `SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows FROM unnest($1::text[]) AS t (name)
       CROSS JOIN LATERAL pg_partition_tree(t.name::regclass) p JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf`,
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
