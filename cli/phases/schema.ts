import { type Check, checksOf } from '../../monitor/checks.ts';
import { countTables } from '../../schemas/counts.ts';
import { planUndo, planUp } from '../../schemas/migration-plan.ts';
import {
  labelOf,
  migrateUp,
  readApplied,
  readMigrationState,
  readUndoStatements,
  undoMigrations,
} from '../../schemas/migrations.ts';
import type { LogEntry } from '../../schemas/phase-log.ts';
import { checkDrops, createDropGuard } from './drop-guard.ts';
import { type Counts, type Outcome, type Phase, type PhaseRun, schemasOf } from './phase.ts';

/** The numbered migrations of the new schema and of the projectors' state. */
export const schema: Phase = {
  name: 'schema',
  summary: 'makes the tables, constraints, indexes, views and rights of the new schema: the numbered migrations',
  rollbackSummary: 'undoes the migrations that the last run of this phase applied: drops what they made',
  forward: {
    check: checkForward,
    plan: async ({ target, migrations, ddl }) => {
      const sections = await planUp(target, { ...ddl('target'), migrations });
      return {
        isNeeded: sections.length > 0,
        sections: sections.map((section) => ({ database: 'target', ...section })),
        notes: [],
      };
    },
    count: countSchema,
    remember: async ({ target, migrations }) => ({
      pending: (await readMigrationState(target, migrations))
        .filter(({ appliedAt }) => appliedAt === null)
        .map(({ migration }) => labelOf(migration)),
    }),
    work: async ({ target, migrations, ddl, say, options }) => ({
      applied: await migrateUp(target, (name) => say(`applied ${name}`), {
        ...ddl('target'),
        migrations,
        guard: await createDropGuard(target, options.withoutBackup),
      }),
    }),
    confirm: confirmForward,
    asks: true,
    backsUp: true,
  },
  back: {
    check: checkBack,
    plan: async (run) => {
      const sections = await planUndo(run.target, await namesToUndo(run), {
        ...run.ddl('target'),
        migrations: run.migrations,
      });
      return {
        isNeeded: sections.length > 0,
        sections: sections.map((section) => ({ database: 'target', ...section })),
        notes:
          sections.length > 0
            ? []
            : ['nothing of the last run of this phase is left: `crosswalk migrate down` undoes earlier migrations'],
      };
    },
    count: countSchema,
    work: async (run) => ({
      undone: await undoMigrations(run.target, await namesToUndo(run), (name) => run.say(`undone ${name}`), {
        ...run.ddl('target'),
        migrations: run.migrations,
        guard: await createDropGuard(run.target, run.options.withoutBackup),
      }),
      ...(run.options.withoutBackup === null ? {} : { withoutBackup: run.options.withoutBackup }),
    }),
    confirm: confirmBack,
    asks: true,
  },
};

/** Counts every table of both schemas, except the log, which each phase appends to. */
async function countSchema(run: PhaseRun): Promise<Counts> {
  const { 'crosswalk.phase_log': _, ...counts } = await countTables(run.target, schemasOf(run));
  return counts;
}

async function checkForward({ target, migrations }: PhaseRun): Promise<Check[]> {
  const { ok, warning } = checksOf('target');
  // Throws if an applied migration has changed or is unknown.
  const pending = (await readMigrationState(target, migrations)).filter(({ appliedAt }) => appliedAt === null);
  const { rows } = await target.query<{ pid: string; seconds: string }>(
    `SELECT pid::text, extract(epoch FROM clock_timestamp() - xact_start)::int::text AS seconds FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '1 minute' ORDER BY xact_start LIMIT 3`,
  );
  return [
    ok('migrations', pending.length === 0 ? 'all are applied' : `${pending.length} are to be applied`),
    ...(rows.length === 0 || pending.length === 0
      ? []
      : [
          warning(
            'locks',
            `Long transactions: ${rows.map(({ pid, seconds }) => `pid ${pid} for ${seconds} s`).join(', ')}`,
            'A migration that needs a lock of theirs tries again and again, and tells.',
          ),
        ]),
  ];
}

async function confirmForward({ target, migrations }: PhaseRun, { before, after }: Outcome): Promise<Check[]> {
  const { ok, failing, warning } = checksOf('target');
  const missing = (await readMigrationState(target, migrations)).filter(({ appliedAt }) => appliedAt === null);
  const invalid = Object.keys(after).filter((table) => after[table]!.invalid! > 0);
  const unvalidated = Object.keys(after).filter((table) => after[table]!.unvalidated! > 0);
  const gone = Object.keys(before).filter((table) => after[table] === undefined && before[table]!.rows! > 0);
  const fewer = Object.keys(before).filter(
    (table) => after[table] !== undefined && after[table].rows! < before[table]!.rows!,
  );
  const sum = (key: string) => Object.values(after).reduce((total, counts) => total + counts[key]!, 0);
  return [
    missing.length === 0
      ? ok('migrations', 'all are applied')
      : failing(
          'migrations',
          `Not applied: ${missing.map(({ migration }) => labelOf(migration)).join(', ')}`,
          'Run this phase again.',
        ),
    invalid.length === 0
      ? ok('indexes', `${sum('indexes')} indexes of ${Object.keys(after).length} tables, all valid`)
      : failing(
          'indexes',
          `Invalid indexes on ${invalid.join(', ')}`,
          'Run this phase again: it builds them anew; otherwise REINDEX INDEX CONCURRENTLY.',
        ),
    unvalidated.length === 0
      ? ok('constraints', `${sum('constraints')} constraints, all validated`)
      : failing(
          'constraints',
          `Constraints that are not validated on ${unvalidated.join(', ')}`,
          'ALTER TABLE … VALIDATE CONSTRAINT …, once their rows are right.',
        ),
    gone.length === 0
      ? ok('rows', 'every table with rows is still there')
      : failing('rows', `Tables with rows are gone: ${gone.join(', ')}`, 'Restore them from the backup.'),
    ...(fewer.length === 0
      ? []
      : [
          warning(
            'rows',
            `Fewer rows than before: ${fewer.join(', ')}`,
            'Right where the application or a projector deleted some meanwhile.',
          ),
        ]),
  ];
}

/** Names of migrations that the last run of the phase applied and no rollback has undone since. */
async function namesToUndo(run: PhaseRun): Promise<string[]> {
  const applied = new Set((await readApplied(run.target, run.migrations)).map(labelOf));
  return lastApplied(await run.entries(), applied);
}

/**
 * Derives from the log the migrations that the newest run had to apply and that are still applied. An interrupted run and the one that continued it count as one. A
 * completed rollback leaves none of it and is never joined with the run before.
 */
export function lastApplied(
  entries: readonly Pick<LogEntry, 'phase' | 'action' | 'verdict' | 'detail'>[],
  applied: ReadonlySet<string>,
): string[] {
  let last = new Set<string>();
  let isOpen = false;
  for (const { phase, action, verdict, detail } of entries) {
    if (phase !== 'schema' || verdict === 'no-go') continue;
    if (action === 'rollback' && verdict === 'done') last = new Set();
    if (action !== 'run') continue;
    if (verdict === 'begun') {
      if (!isOpen) last = new Set();
      for (const name of (detail as { pending?: readonly string[] }).pending ?? []) last.add(name);
    }
    isOpen = verdict !== 'done';
  }
  return [...last].filter((name) => applied.has(name));
}

async function checkBack(run: PhaseRun): Promise<Check[]> {
  const { ok, failing } = checksOf('target');
  const names = await namesToUndo(run);
  if (names.length === 0) return [ok('migrations', 'none to undo')];
  const workers = await readWorkers(run);
  return [
    ok('migrations', `to undo: ${names.join(', ')}`),
    workers.length === 0
      ? ok('at rest', 'no process of crosswalk is connected')
      : failing(
          'at rest',
          `Still connected: ${workers.join(', ')}`,
          'Stop them: they would meet tables that are gone.',
        ),
    await checkDrops(
      run.target,
      await readUndoStatements(run.target, names, run.migrations),
      run.options,
      run.ddl('target'),
    ),
  ];
}

/** Processes of crosswalk connected to the target database, other than this one. */
export async function readWorkers({ target }: Pick<PhaseRun, 'target'>): Promise<string[]> {
  const { rows } = await target.query<{ name: string; pid: string }>(
    `SELECT DISTINCT ON (application_name) application_name AS name, pid::text FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'crosswalk-%' AND split_part(application_name, ' ', 1) NOT IN ('crosswalk-migrate', 'crosswalk-observe', 'crosswalk-backup') ORDER BY 1, pid`,
  );
  return rows.map(({ name, pid }) => `${name} (pid ${pid})`);
}

async function confirmBack(run: PhaseRun): Promise<Check[]> {
  const { ok, failing } = checksOf('target');
  const counts = await countTables(run.target, schemasOf(run));
  const invalid = Object.keys(counts).filter((table) => counts[table]!.invalid > 0);
  return [
    ok('migrations', `${(await readApplied(run.target, run.migrations)).length} are applied`),
    invalid.length === 0
      ? ok('indexes', 'all valid')
      : failing(
          'indexes',
          `Invalid indexes on ${invalid.join(', ')}`,
          'Run `crosswalk migrate rollback schema` again.',
        ),
  ];
}
