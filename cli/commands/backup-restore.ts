import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type pg from 'pg';
import { type Check, toLogChecks } from '../../monitor/checks.ts';
import { readProjectors } from '../../monitor/pipeline-queries.ts';
import { migrationsOf } from '../../projectors/pipeline.ts';
import { topicOf } from '../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { addressOf } from '../../runtime/postgres.ts';
import { readWithin } from '../../runtime/reading.ts';
import { holdingLock } from '../../schemas/advisory-lock.ts';
import { toVerifiedBackup } from '../../schemas/backup/coverage.ts';
import { planRestore, type Restoration, type RestorePlan, restoreBackup } from '../../schemas/backup/restore.ts';
import { labelOf, readMigrationState } from '../../schemas/migrations.ts';
import { appendEntry, ensurePhaseLog } from '../../schemas/phase-log.ts';
import { followSteps } from '../backup-run.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { LOCK, openOwner } from '../phases/open-run.ts';
import { readWorkers } from '../phases/schema.ts';
import { createProgress } from '../progress.ts';
import { toCountText } from '../quantity-text.ts';

export interface RestoreOptions {
  readonly replace?: boolean;
  readonly yesReally?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const KAFKA_MS = 10_000;

/** Replaces the new schema and the projectors' state with a backup. Returns whether the result equals the backup; for a dry run, whether it would be done. */
export async function restore(context: CommandContext, folder: string, options: RestoreOptions): Promise<boolean> {
  const { config, env, signal } = context;
  const dir = resolve(folder);
  const schemas = [config.targetSchema, 'crosswalk'];
  const url = config.targetOwnerUrl();
  const say = (line: string) => (options.json ? undefined : print(line));
  const steps = followSteps({ progress: progressOf(context, options) });
  const reading = { url, env, signal, onProgress: steps.onProgress };
  const target = await openOwner(context, 'target');
  try {
    if (options.dryRun) {
      const plan = await planRestore(dir, schemas, reading);
      steps.close();
      return printPlan(plan, await findObstacle(target, plan, options), options);
    }
    const onWait = () => say('another command changes this database: waiting for its end');
    return await holdingLock(target, LOCK, { signal, onWait }, async () => {
      await refuseWorkers(target);
      let plan: RestorePlan | undefined;
      const restored = await restoreBackup(dir, schemas, {
        ...reading,
        assertAllowed: (found) => {
          plan = found;
          const refusal = toRefusal(found, options);
          if (refusal !== null) throw refusal;
        },
      });
      steps.close();
      const next = restored.isRestored ? await toNextSteps(context, target) : [];
      if (restored.isRestored) await note(target, dir, restored);
      printRestoration(restored, plan!, next, { ...options, where: addressOf(url) });
      return restored.ok;
    });
  } finally {
    steps.close();
    await target.end().catch(() => undefined);
  }
}

function progressOf({ isTerminal }: CommandContext, { json }: RestoreOptions) {
  return (label: string, total: number) =>
    json
      ? { update: () => undefined, close: () => undefined }
      : createProgress({ label, total, isTerminal, write: (text) => process.stdout.write(text) });
}

/** Returns why this plan must not be carried out: rows are only deleted with double confirmation. */
export function toRefusal(
  { filled, database }: Pick<RestorePlan, 'filled' | 'database'>,
  { replace, yesReally }: RestoreOptions,
): CrosswalkError | null {
  const isNamed = yesReally === database;
  if (yesReally !== undefined && !isNamed)
    return new CrosswalkError(
      'config_invalid.restore_elsewhere',
      `--yes-really names another database than ${database}, which TARGET_OWNER_URL leads to`,
    );
  if (filled.length === 0 || (replace === true && isNamed)) return null;
  return new CrosswalkError(
    'config_invalid.restore_unconfirmed',
    `Database ${database} holds rows that would be replaced: ${filled.slice(0, 5).join(', ')}${filled.length > 5 ? `, and ${filled.length - 5} more tables` : ''}`,
    { database },
  );
}

async function findObstacle(
  target: pg.Client,
  plan: RestorePlan,
  options: RestoreOptions,
): Promise<CrosswalkError | null> {
  try {
    await refuseWorkers(target);
  } catch (error) {
    return toCrosswalkError(error, 'restore');
  }
  return toRefusal(plan, options);
}

/** Running processes would write positions that no longer match. */
async function refuseWorkers(target: pg.Client): Promise<void> {
  const workers = await readWorkers({ target });
  if (workers.length > 0) throw new CrosswalkError('locked.workers', `Still connected: ${workers.join(', ')}`);
}

function printPlan(plan: RestorePlan, obstacle: CrosswalkError | null, { json }: RestoreOptions): boolean {
  const { manifest, database, filled, notes } = plan;
  const rows = manifest.tables.reduce((sum, { all }) => sum + all.rows, 0);
  if (json)
    printJson({
      ...{ database, takenAt: manifest.takenAt, schemas: manifest.schemas, tables: manifest.tables.length, rows },
      ...{ replaced: filled, notes, obstacle: obstacle === null ? null : `${obstacle.message}. ${obstacle.remedy}` },
    });
  else {
    print(`goes: ${filled.length === 0 ? 'no row' : `the rows of ${filled.join(', ')}`} in database ${database}`);
    print(
      `comes: ${toCountText(manifest.tables.length)} tables, ${toCountText(rows)} rows of ${manifest.schemas.join(' and ')}, as database ${manifest.server.database} was at ${manifest.takenAt}`,
    );
    for (const line of notes) print(`note: ${line}`);
    print(obstacle === null ? 'nothing is in the way' : `refused: ${obstacle.message}. ${obstacle.remedy}`);
    print('Nothing is changed: this was a dry run.');
  }
  return obstacle === null;
}

/** Records the restore in the restored log. A backup that was restored and compared also counts as verified. */
async function note(target: pg.Client, dir: string, restored: Restoration): Promise<void> {
  await ensurePhaseLog(target);
  const { manifest, digest, ok, notCompared, differences } = restored;
  await appendEntry(target, {
    ...{ runId: randomUUID(), phase: 'backup', action: 'backup verified', verdict: ok ? 'done' : 'failed' },
    detail: {
      ...toVerifiedBackup(dir, digest, manifest),
      ...{ restoredInto: 'the target database', notCompared, differences: differences.slice(0, 20) },
    },
  });
}

/** A step needed before the pipeline is as it was. */
export interface NextStep {
  readonly state: 'do' | 'warning' | 'failing';
  readonly what: string;
}

/** Next steps in order: migrations, projector positions compared with the log, decisions of operators. */
async function toNextSteps(context: CommandContext, target: pg.Client): Promise<NextStep[]> {
  return [
    ...(await toMigrationSteps(context, target)),
    ...(await toPositionSteps(context)),
    {
      state: 'do',
      what: 'see who sees the new schema: stages and gates are those of the backup, too: `crosswalk stage get`',
    },
    {
      state: 'do',
      what: 'start the projectors: `crosswalk project`; then `crosswalk wait`, and `crosswalk verify` when it has come to its end',
    },
  ];
}

async function toMigrationSteps({ pipeline }: CommandContext, target: pg.Client): Promise<NextStep[]> {
  try {
    const pending = (await readMigrationState(target, migrationsOf(pipeline))).filter(
      ({ appliedAt }) => appliedAt === null,
    );
    if (pending.length === 0) return [];
    return [
      {
        state: 'do',
        what: `apply what is newer than the backup: \`crosswalk migrate up\` (${pending.map(({ migration }) => labelOf(migration)).join(', ')})`,
      },
    ];
  } catch (thrown) {
    const { message, remedy } = toCrosswalkError(thrown, 'migrations');
    return [{ state: 'failing', what: `${message}. ${remedy}` }];
  }
}

/** Compares the positions of the projectors with the offsets that Kafka holds. */
async function toPositionSteps({ config, log, signal }: CommandContext): Promise<NextStep[]> {
  const { offsets } = await readProjectors(config.targetOwnerUrl(), signal);
  if (offsets.length === 0)
    return [{ state: 'do', what: 'the backup holds no positions: projectors begin at the beginning of the log' }];
  const ends = await readWithin(KAFKA_MS, 'Kafka', async () => ({
    found: await createKafka(config.kafka(), log).fetchOffsets(config.tables.map((table) => topicOf(config, table))),
  }));
  if (ends.state !== 'up')
    return [
      {
        state: 'warning',
        what: `positions were not compared with the log: ${ends.problem}. ${ends.remedy} Then \`crosswalk doctor\``,
      },
    ];
  return toPositions(ends.found, offsets);
}

/** Pure. Takes the restored positions and the offsets that Kafka holds. */
export function toPositions(
  found: ReadonlyMap<string, readonly { low: bigint; high: bigint }[]>,
  offsets: readonly { projection: string; topic: string; partition: number; nextOffset: bigint }[],
): NextStep[] {
  const lost = [...new Set(offsets.filter(({ topic }) => !found.has(topic)).map(({ topic }) => topic))];
  const checks = toLogChecks(found, offsets);
  const isWrong = ({ state }: Check) => state !== 'ok';
  const behind = offsets.reduce((sum, { topic, partition, nextOffset }) => {
    const high = found.get(topic)?.[partition]?.high ?? nextOffset;
    return high > nextOffset ? sum + (high - nextOffset) : sum;
  }, 0n);
  return [
    ...lost.map(
      (topic): NextStep => ({
        state: 'failing',
        what: `Kafka has no topic ${topic}, which positions of the backup are of. Correct KAFKA_BROKERS, or project anew: docs/operations.md, "Restoring"`,
      }),
    ),
    ...checks.filter(isWrong).map(
      ({ state, what, remedy }): NextStep => ({
        state: state === 'failing' ? 'failing' : 'warning',
        what: `${what}. ${remedy}`,
      }),
    ),
    ...(lost.length > 0 || checks.some(({ state }) => state === 'failing')
      ? []
      : [
          {
            state: 'do',
            what: `the log holds all that the projectors lack: ${toCountText(behind)} offsets since the backup, which they apply when they start`,
          } as const,
        ]),
  ];
}

function printRestoration(
  restored: Restoration,
  { filled, notes }: RestorePlan,
  next: readonly NextStep[],
  { json, where }: RestoreOptions & { readonly where: string },
): void {
  const { ok, isRestored, notCompared, tables, differences, skipped, manifest } = restored;
  if (json) {
    printJson({ ok, isRestored, notCompared, replaced: filled, tables, differences, skipped, notes, next });
    return;
  }
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  for (const difference of differences) print(`NOT EQUAL: ${difference}`);
  for (const what of skipped) print(`not restored, for want of its role: ${what}`);
  for (const line of notes) print(`note: ${line}`);
  if (notCompared !== null) print(`definitions were not compared: ${notCompared}`);
  if (!isRestored) {
    print(`NOT restored: what came out was not what was backed up. ${where} is as it was`);
    return;
  }
  print(
    `${where} is as it was at ${manifest.takenAt}: ${toCountText(tables.length)} tables, ${toCountText(rows)} rows, every table and sequence equal${ok ? '' : ', but not every definition'}`,
  );
  print('next:');
  for (const { state, what } of next) print(`  ${state === 'do' ? '' : `${state}: `}${what}`);
}
