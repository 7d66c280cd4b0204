import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CaptureState, planCaptureUndo, readCaptureState } from '../../connectors/capture-state.ts';
import { planSourceSetup } from '../../connectors/source-setup.ts';
import { captureOf } from '../../connectors/source-state.ts';
import { type Check, checksOf } from '../../monitor/checks.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import { addressOf } from '../../runtime/postgres.ts';
import type { VerifiedBackup } from '../../schemas/backup/coverage.ts';
import { probeFolder } from '../../schemas/backup/folder.ts';
import type { BackupVerification } from '../../schemas/backup/verify.ts';
import { countTables } from '../../schemas/counts.ts';
import { planUp } from '../../schemas/migration-plan.ts';
import { mayCreateDatabases, restoreElsewhere, takeBackup } from '../backup-run.ts';
import { toBytesText } from '../quantity-text.ts';
import { backupsOf, isRecord, readHeld, rememberBackup } from './backup-before.ts';
import { nothingToDo, type Outcome, type Phase, type PhasePlan, type PhaseRun, schemasOf } from './phase.ts';

/** Backs up everything that the later phases may change. */
export const backup: Phase = {
  name: 'backup',
  summary:
    'writes the new schema as it is, and how the legacy tables are captured now, to disk; restores it elsewhere and compares',
  rollbackSummary: 'nothing: the folder stays until you delete it',
  forward: {
    check,
    plan,
    count: async (run) =>
      Object.fromEntries(
        Object.entries(await countTables(run.target, schemasOf(run))).filter(([table]) => !isRecord(table)),
      ),
    work,
    confirm,
    asks: true,
  },
  back: null,
};

interface Need {
  /** Whether the new schema will be changed and no verified backup holds it yet. */
  readonly ofTarget: boolean;
  /** Statements that the capture phase would run. */
  readonly statements: readonly string[];
  /** Tables with rows that must be restored elsewhere. */
  readonly filled: readonly string[];
  /** A verified backup that already holds the new schema. */
  readonly cover: VerifiedBackup | null;
}

/** Read once per command: finding out whether a backup holds every row requires reading every row. */
const needs = new WeakMap<PhaseRun, Promise<Need>>();

function needOf(run: PhaseRun): Promise<Need> {
  const known = needs.get(run) ?? readNeed(run);
  needs.set(run, known);
  return known;
}

async function readNeed(run: PhaseRun): Promise<Need> {
  const { target, legacy, context } = run;
  const migrations = await planUp(target, { migrations: run.migrations });
  const statements = await planSourceSetup(legacy, captureOf(context.config));
  const { filled, cover } = migrations.length > 0 ? await readHeld(run) : { filled: [], cover: null };
  if (cover !== null) rememberBackup(run);
  return { ofTarget: migrations.length > 0 && cover === null, statements, filled: cover === null ? filled : [], cover };
}

const dirOf = (run: PhaseRun) => join(backupsOf(run), run.runId);

async function check(run: PhaseRun): Promise<Check[]> {
  const { ok, failing, warning } = checksOf('target');
  const { ofTarget, statements, filled, cover } = await needOf(run);
  const covered =
    cover === null
      ? []
      : [
          ok(
            'backup',
            `${cover.dir} of ${cover.takenAt} was restored elsewhere and compared, and holds what is there now`,
          ),
        ];
  if (!ofTarget && statements.length === 0)
    return cover === null ? [ok('backup', 'nothing is going to be changed: none is needed')] : covered;
  const dir = backupsOf(run);
  const checks: Check[] = [...covered];
  try {
    await probeFolder(dir);
    checks.push(ok('folder', `${dir} can be written`));
  } catch (thrown) {
    const { message, remedy } = toCrosswalkError(thrown, 'backup');
    checks.push(failing('folder', message, remedy));
  }
  const { rows } = await run.target.query<{ bytes: string }>(
    `SELECT coalesce(sum(pg_table_size(c.oid)), 0)::text AS bytes FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ANY ($1)`,
    [ofTarget ? schemasOf(run) : ['crosswalk']],
  );
  const bytes = BigInt(rows[0]!.bytes);
  const free = await readFreeBytes(dir);
  checks.push(
    free >= bytes
      ? ok('disk', `${toBytesText(bytes)} in the database, ${toBytesText(free)} free in the folder`)
      : warning(
          'disk',
          `${toBytesText(bytes)} in the database, only ${toBytesText(free)} free in the folder`,
          'Rows are compressed to a fraction; name a folder with more room: --backup-dir.',
        ),
  );
  if (filled.length === 0) return checks;
  if (run.options.restoreInto !== null)
    checks.push(ok('restore', `to be restored into ${addressOf(run.options.restoreInto)}`));
  else
    checks.push(
      (await mayCreateDatabases(run.target))
        ? ok('restore', 'to be restored into a database of its own on the same server, which is dropped afterwards')
        : failing(
            'restore',
            "The owner's role may not make a database to restore into",
            'Name an empty one in RESTORE_DATABASE_URL; or ALTER ROLE … CREATEDB.',
          ),
    );
  return checks;
}

async function readFreeBytes(dir: string): Promise<bigint> {
  let existing = dir;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing, { bigint: true });
  return bavail * bsize;
}

async function plan(run: PhaseRun): Promise<PhasePlan> {
  const { ofTarget, filled, statements } = await needOf(run);
  if (!ofTarget && statements.length === 0) return nothingToDo;
  return {
    isNeeded: true,
    sections: [],
    notes: [
      `no statement changes anything: like \`crosswalk backup create\` into a new folder in ${backupsOf(run)}, of ${ofTarget ? `the new schema, ${filled.length} tables with rows` : 'the log of phases alone: the new schema is not going to be changed'}`,
      ...(statements.length > 0 ? ['legacy-capture.sql in it brings publication and replica identities back'] : []),
      ...(filled.length > 0
        ? [
            `then like \`crosswalk backup verify\`, into ${run.options.restoreInto === null ? 'a database of its own' : addressOf(run.options.restoreInto)}`,
          ]
        : ['there is no row to restore elsewhere']),
    ],
  };
}

async function work(run: PhaseRun): Promise<Record<string, unknown>> {
  const { context, options, target, runId, say, progress } = run;
  const { config } = context;
  const { ofTarget, filled, statements } = await needOf(run);
  const dir = dirOf(run);
  const backupRun = { log: target, runId, env: context.env, signal: context.signal, say, progress };
  const { rows } = await target.query<{ name: string }>(
    'SELECT s AS name FROM unnest($1::text[]) AS s WHERE to_regnamespace(s) IS NOT NULL',
    [ofTarget ? schemasOf(run) : ['crosswalk']],
  );
  const { manifest, digest } = await takeBackup(backupRun, dir, {
    url: config.targetOwnerUrl(),
    schemas: rows.map(({ name }) => name),
    ...(statements.length > 0 ? { extra: { 'legacy-capture.sql': await toCaptureScript(run) } } : {}),
  });
  say(`written to ${dir}`);
  if (filled.length === 0) return { dir, digest, restored: false };
  const verification = await restoreElsewhere(backupRun, dir, options.restoreInto, config.targetOwnerUrl());
  for (const what of verification.skipped) say(`not restored, for want of its role: ${what}`);
  if (verification.ok) rememberBackup(run);
  return {
    dir,
    digest,
    restored: true,
    tables: manifest.tables.length,
    differences: verification.differences,
    notCompared: verification.notCompared,
    isEqual: verification.ok,
  };
}

/** Statements that restore the present state of capture in the legacy database, whatever the capture phase does. */
async function toCaptureScript({ legacy, context: { config } }: PhaseRun): Promise<string> {
  const options = { ...captureOf(config), slot: config.slot };
  const now = await readCaptureState(legacy, options);
  const other: CaptureState = {
    // A kind that differs from every real one, so that every identity is written.
    identities: Object.fromEntries(Object.keys(now.identities).map((table) => [table, { kind: '', index: null }])),
    publication: null,
    hasSlot: false,
  };
  const statements = planCaptureUndo({ ...now, hasSlot: false }, other, options);
  return [
    `-- The captured tables of ${config.legacySchema} and publication ${config.publication} as they were before crosswalk changed them. Drop the slot ${config.slot} first.`,
    `DROP PUBLICATION IF EXISTS "${config.publication}";`,
    ...statements.map((statement) => `${statement};`),
    '',
  ].join('\n');
}

async function confirm(_run: PhaseRun, { detail }: Outcome): Promise<Check[]> {
  const { ok, failing, warning } = checksOf('target');
  const { dir, restored, isEqual, tables, differences, notCompared } = detail as {
    dir: string;
    restored: boolean;
    isEqual?: boolean;
    tables?: number;
    differences?: BackupVerification['differences'];
    notCompared?: BackupVerification['notCompared'];
  };
  if (!restored) return [ok('backup', `${dir} is written; there was no row to restore elsewhere`)];
  return [
    isEqual === true
      ? ok(
          'backup',
          `restored elsewhere: ${tables} tables with equal counts and checksums, equal sequences${typeof notCompared === 'string' ? '' : ' and definitions'}`,
        )
      : failing(
          'backup',
          `What was restored is not the same: ${(differences ?? []).slice(0, 5).join('; ')}`,
          'Do not go on. Take it again; if it stays so, use pg_dump and report this.',
        ),
    ...(typeof notCompared === 'string'
      ? [
          warning(
            'definitions',
            `Not compared: ${notCompared}`,
            'Verify it once more with RESTORE_DATABASE_URL on a server of that version, from a machine with that pg_dump.',
          ),
        ]
      : []),
  ];
}
