import { verifyHealth } from '../../monitor/health.ts';
import { serveHealth } from '../../monitor/http.ts';
import { registerVerifyMetrics } from '../../monitor/metrics.ts';
import { watchStall } from '../../monitor/watchdog.ts';
import { statesOf } from '../../projectors/projection.ts';
import { readConfiguredTenants, readTenants } from '../../projectors/read-tenants.ts';
import { liveNamespace, searchPathOption } from '../../projectors/session.ts';
import { compareWithOracle } from '../../projectors/verify/oracle/compare-with-oracle.ts';
import { verifiedTables } from '../../projectors/verify/plan.ts';
import { type Repair, repairRun } from '../../projectors/verify/repair.ts';
import type { Difference } from '../../projectors/verify/run-store.ts';
import { createVerifyStatus } from '../../projectors/verify/status.ts';
import { type Verification, verifyAll } from '../../projectors/verify/verify.ts';
import { watchVerification } from '../../projectors/verify/watch.ts';
import { waitForLsn } from '../../projectors/wait.ts';
import { createKafka, type Kafka } from '../../runtime/kafka.ts';
import { connect } from '../../runtime/postgres.ts';
import { confirm } from '../confirm.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { createProgress } from '../progress.ts';
import { toCountText } from '../quantity-text.ts';
import { markLegacy } from './wait.ts';

const WAIT_MS = 600_000;

/** Command line options. */
export interface VerifyCommandOptions {
  readonly limit: number;
  readonly unmask?: boolean;
  readonly tenant?: string;
  readonly maxRate?: number;
  readonly resume?: boolean;
  readonly repair?: boolean;
  readonly yes?: boolean;
  readonly watch?: boolean;
  readonly rest: number;
  readonly oracle?: 'sql';
  readonly sql?: boolean;
  readonly json?: boolean;
}

/** Compares every row with the rows that the legacy rows imply, while the pipeline runs, and repairs differences if requested. Returns whether all rows are equal in the end. */
export async function verify(context: CommandContext, options: VerifyCommandOptions): Promise<boolean> {
  const { pipeline, config, log, signal } = context;
  const kafka = createKafka(config.kafka(), log);
  const progress = showProgress(context, options, 'comparing');
  const result = await verifyAll(config, statesOf(pipeline.projections), readTenants(pipeline), {
    ...{ kafka, signal, limit: options.limit },
    ...(pipeline.checks === undefined ? {} : { checks: pipeline.checks }),
    tenant: options.tenant ?? null,
    maxRate: options.maxRate ?? null,
    resume: options.resume ?? false,
    onRows: (done, total) => progress?.update(done, total),
  }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return null;
  });
  progress?.close();
  if (result === null) {
    process.stderr.write('crosswalk verify: stopped. `crosswalk verify --resume` continues from here.\n');
    return false;
  }
  if (!options.json) printVerification(result, options);
  const repair = options.repair ? await repairAll(context, kafka, result, options) : null;
  if (options.json)
    printJson({ ...(options.unmask ? result : masked(result)), ...(repair === null ? {} : { repair }) });
  return repair === null ? result.ok : repair.leftRows + repair.beyond === 0 && isSoundOtherwise(result);
}

/** Whether row differences, which a repair fixes, are the only problem. Anything that still fails after the repair shows in the next verification. */
function isSoundOtherwise({ tables, unmappable, exceptions }: Verification): boolean {
  return unmappable.length === 0 && exceptions.deadLetters === 0 && tables.every(({ unsettled }) => unsettled === 0);
}

/** Sends differing rows again after a confirmation. Null if nothing differs or the answer was no. */
async function repairAll(
  context: CommandContext,
  kafka: Kafka,
  result: Verification,
  options: VerifyCommandOptions,
): Promise<Repair | null> {
  const rows = result.tables.reduce((sum, { missing, extra, differing }) => sum + missing + extra + differing, 0);
  if (rows === 0) return null;
  const question = `Reread and project the legacy rows behind ${toCountText(rows)} differing rows?`;
  if (!options.yes && !(await confirm(context, question))) return null;
  const progress = showProgress(context, options, 'repaired');
  const repair = await repairRun(
    context.config,
    statesOf(context.pipeline.projections),
    readTenants(context.pipeline),
    result.run,
    {
      ...{ kafka, signal: context.signal },
      onProgress: (done, total) => progress?.update(done, total),
    },
  );
  progress?.close();
  const left = repair.left.map((difference) => (options.unmask ? difference : hidden(difference)));
  if (!options.json) {
    print(`${toCountText(repair.repaired)} rows repaired, by ${toCountText(repair.sent)} legacy rows sent again`);
    for (const difference of left.slice(0, options.limit))
      print(`  left: ${toDifferenceLine(difference)}: ${difference.reason}`);
    print(repair.leftRows === 0 ? 'no differences are left' : `${toCountText(repair.leftRows)} rows still differ`);
    if (repair.beyond > 0)
      print(
        `${toCountText(repair.beyond)} more rows differ than are stored by name: run \`crosswalk verify --repair\` again`,
      );
  }
  return { ...repair, left };
}

/** Waits until everything is applied, then compares with rows computed by separate SQL. Returns whether all are equal. */
export async function askOracle(
  { pipeline, config, log, signal }: CommandContext,
  options: VerifyCommandOptions,
): Promise<boolean> {
  const lsn = await markLegacy(config.legacyUrl());
  const target = await connect(config.targetUrl(), 'verify', searchPathOption(liveNamespace(config.targetSchema)));
  try {
    const kafka = createKafka(config.kafka(), log);
    await waitForLsn(config, kafka, target, statesOf(pipeline.projections), { lsn, timeoutMs: WAIT_MS, signal });
  } finally {
    await target.end();
  }
  const found = await compareWithOracle(config, pipeline, readTenants(pipeline), readConfiguredTenants(pipeline));
  const shown = options.unmask
    ? found
    : found.map((of) => ({ ...of, expected: hide(of.expected), actual: hide(of.actual) }));
  if (options.json) printJson({ ok: found.length === 0, differences: shown });
  else {
    for (const { table, id, kind, column, expected, actual } of shown.slice(0, options.limit))
      print(
        `  ${table} ${id} ${column === null ? kind : `${column}: expected ${expected ?? 'null'}, found ${actual ?? 'null'}`}`,
      );
    print(
      found.length === 0
        ? 'the SQL oracle expects the same rows'
        : `${toCountText(found.length)} differences from the rows of the SQL oracle. If \`crosswalk verify\` finds none, the mapping and docs/mapping.md disagree`,
    );
  }
  return found.length === 0;
}

function showProgress({ isTerminal }: CommandContext, options: VerifyCommandOptions, label: string) {
  if (options.json) return null;
  return createProgress({ label, total: 0, isTerminal, write: (text) => process.stdout.write(text) });
}

/** Verifies repeatedly until SIGTERM, as a container runs it. */
export async function watch(context: CommandContext, options: VerifyCommandOptions): Promise<boolean> {
  const { config, log, signal, giveUp } = context;
  const status = createVerifyStatus(verifiedTables(context.pipeline.projections));
  registerVerifyMetrics(status);
  const health = () => verifyHealth(status, config);
  const server = await serveHealth(config, health);
  const watchdog = watchStall(health, giveUp);
  try {
    await watchVerification(config, statesOf(context.pipeline.projections), readTenants(context.pipeline), {
      ...(context.pipeline.checks === undefined ? {} : { checks: context.pipeline.checks }),
      ...{ kafka: createKafka(config.kafka(), log), log, signal, status },
      ...{ restSeconds: options.rest, maxRate: options.maxRate ?? null, tenant: options.tenant ?? null },
    });
  } finally {
    watchdog.close();
    await server.close();
  }
  return true;
}

const hide = (value: string | null) => (value === null ? null : `(${value.length} characters)`);

function hidden<T extends Difference>(difference: T): T {
  return { ...difference, expected: hide(difference.expected), actual: hide(difference.actual) };
}

function masked(result: Verification): Verification {
  return {
    ...result,
    tables: result.tables.map((table) => ({ ...table, differences: table.differences.map(hidden) })),
  };
}

/** Prints a verification: tables, checks, the first differences individually, exceptions, verdict. */
export function printVerification(result: Verification, options: { limit: number; unmask?: boolean }): void {
  const shown = options.unmask ? result : masked(result);
  print(
    `${'table'.padEnd(20)} ${'expected'.padStart(10)} ${'found'.padStart(10)} ${'missing'.padStart(8)} ${'extra'.padStart(8)} ${'differ'.padStart(8)} ${'unsettled'.padStart(9)}`,
  );
  for (const table of shown.tables) {
    const cells = [table.missing, table.extra, table.differing].map((count) => String(count).padStart(8)).join(' ');
    print(
      `${table.table.padEnd(20)} ${String(table.expected).padStart(10)} ${String(table.actual).padStart(10)} ${cells} ${String(table.unsettled).padStart(9)}`,
    );
  }
  const notes = shown.notes.filter(({ count }) => count > 0);
  if (shown.checks.length + notes.length > 0) print();
  for (const check of shown.checks)
    print(
      `${check.ok ? 'ok    ' : 'FAILED'} ${check.name}${check.ok ? ` (${check.actual})` : `: expected ${check.expected}, found ${check.actual}`}`,
    );
  for (const { reason, count, counted, sum, summed, see = 'crosswalk rejects' } of notes)
    print(`note   ${reason}: ${toCountText(count)} ${counted}${sum === null ? '' : `, ${summed} ${sum}`} (see ${see})`);
  for (const { table, column, expected, actual } of shown.sums)
    if (expected !== actual) print(`FAILED sum of ${table}.${column}: expected ${expected}, found ${actual}`);
  const differences = shown.tables.flatMap((table) => table.differences.slice(0, options.limit));
  if (differences.length > 0) print('\nfirst differences of each table:');
  for (const difference of differences) print(`  ${toDifferenceLine(difference)}`);
  for (const { projection, legacyKey, reason } of shown.unmappable.slice(0, options.limit))
    print(
      `  ${projection} ${legacyKey} ${reason === undefined ? 'cannot be mapped: a defect of the projection' : 'is too large to be read, and for its topic: see crosswalk dlq list'}`,
    );
  const { rejects, deadLetters, parked } = shown.exceptions;
  print(`\n${rejects} rejects, ${deadLetters} open dead letters, ${parked} changes waiting for their cause`);
  // Rows that cannot be mapped are unsettled, too, and already listed above.
  const unsettled = shown.tables.reduce((sum, table) => sum + table.unsettled, 0) - shown.unmappable.length;
  if (unsettled > 0)
    print(
      `${unsettled} rows changed at every check: they are neither equal nor different. Verify again when they change less often.`,
    );
  print(
    `${shown.ok ? 'verified: every row is equal' : 'NOT verified'} (${shown.legacyRows} legacy rows, ${shown.seconds.toFixed(1)} s)`,
  );
}

/** One difference with its legacy row and the change that last wrote it. */
export function toDifferenceLine(difference: Difference): string {
  const { table, id, kind, column, expected, actual, legacyTable, legacyKey, lineage, explained } = difference;
  const what = column === null ? kind : `${column}: expected ${expected ?? 'null'}, found ${actual ?? 'null'}`;
  const parts = [
    ...(legacyKey === null ? [] : [`legacy ${legacyTable} ${legacyKey}`]),
    ...(lineage === null || lineage.lsn === null
      ? []
      : [`written by ${lineage.lsn} xid ${lineage.xid} of ${lineage.committedAt}, mapping ${lineage.mappingVersion}`]),
    ...(explained === null ? [] : [explained === 'parked' ? 'a change of it is parked' : 'it has a dead letter']),
  ];
  return `${table} ${id} ${what}${parts.length === 0 ? '' : ` (${parts.join('; ')})`}`;
}
