import { randomUUID } from 'node:crypto';
import { planSourceSetup } from '../../connectors/source-setup.ts';
import { captureOf } from '../../connectors/source-state.ts';
import { migrationsOf } from '../../projectors/pipeline.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { inDdlTransaction, retryLocked } from '../../schemas/ddl-retry.ts';
import { labelOf, migrateDown, migrateUp, readApplied, readMigrationState } from '../../schemas/migrations.ts';
import { appendEntry, ensurePhaseLog, type PhaseName, readEntries } from '../../schemas/phase-log.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { parsePhase, phases, phasesTo, toPlanText } from '../phases/all.ts';
import { backOf, carryOut, type PhaseResult } from '../phases/carry-out.ts';
import { createDropGuard } from '../phases/drop-guard.ts';
import { alone, ddlOptions, openOwner, withRun } from '../phases/open-run.ts';
import type { PhaseOptions, PhaseRun, Section } from '../phases/phase.ts';
import { toScript, toStandings } from '../phases/show.ts';
import { toTableLines } from '../quantity-text.ts';
import { toRestoreAddress } from '../restore-address.ts';

/** Options of the commands that take locks. */
export interface LockOptions {
  readonly lockTimeout: number;
}

/** A reason for not requiring a backup, from the command line. */
export interface WithoutBackup {
  readonly withoutBackup?: boolean;
  readonly reason?: string;
}

export interface RunOptions extends LockOptions, WithoutBackup {
  readonly to?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly backupDir?: string;
  readonly restoreInto?: string;
  readonly timeout?: number;
  readonly json?: boolean;
}

function toReason({ withoutBackup, reason }: WithoutBackup): string | null {
  const isGiven = reason !== undefined && reason.trim() !== '';
  if (withoutBackup !== true && !isGiven) return null;
  if (withoutBackup === true && isGiven) return reason;
  throw new CrosswalkError('config_invalid.down_unexplained', '--without-backup and --reason belong together');
}

function toPhaseOptions({ config }: CommandContext, options: RunOptions, to: PhaseName): PhaseOptions {
  return {
    to,
    backupDir: options.backupDir ?? null,
    restoreInto: toRestoreAddress('--restore-into', options.restoreInto, config),
    lockTimeoutMs: options.lockTimeout,
    waitSeconds: options.timeout ?? null,
    withoutBackup: toReason(options),
  };
}

/** Throws `config_invalid` if a confirmation is needed and there is no terminal to ask on. */
function refuseUnanswerable({ isTerminal }: CommandContext, { yes, json, dryRun }: RunOptions): void {
  if (yes || dryRun || (isTerminal && !json)) return;
  throw new CrosswalkError('config_invalid.unconfirmed', 'Nobody can be asked', { consequence: 'go on by itself' });
}

/** Runs the migration phase by phase. Returns whether every phase completed. */
export async function run(context: CommandContext, options: RunOptions): Promise<boolean> {
  const last = parsePhase(options.to ?? phases.at(-1)!.name, context.pipeline.plan);
  if (options.dryRun) return await plan(context, options);
  refuseUnanswerable(context, options);
  return await withRun(
    context,
    toPhaseOptions(context, options, last.name),
    options.json === true,
    async (phaseRun) => {
      const results: PhaseResult[] = [];
      await alone(phaseRun, async () => {
        const chosen = phasesTo(last.name);
        await sayInterrupted(phaseRun);
        for (const [at, phase] of chosen.entries()) {
          phaseRun.say(`\nphase ${at + 1} of ${chosen.length}: ${phase.name}: ${phase.summary}`);
          const ofPlan = toPlanText(phase.name, context.pipeline.plan);
          if (ofPlan !== null) phaseRun.say(`  of the plan: ${ofPlan}`);
          const result = await carryOut(phaseRun, phase, 'run', { yes: options.yes === true });
          results.push(result);
          if (result.verdict !== 'done') {
            if (result.verdict === 'failed' && phase.back !== null)
              phaseRun.say(`\`crosswalk migrate rollback ${phase.name}\` ${phase.rollbackSummary}`);
            break;
          }
        }
      });
      const ok = results.every(({ verdict }) => verdict === 'done');
      if (options.json) printJson({ ok, runId: phaseRun.runId, phases: results });
      else
        print(
          ok
            ? `\nevery phase up to ${last.name} is done`
            : '\nstopped: run it again once that is settled; what is done stays done',
        );
      return ok;
    },
  );
}

async function sayInterrupted({ entries, say }: PhaseRun): Promise<void> {
  for (const { phase, state, at, by } of toStandings(await entries()))
    if (state === 'begun, not ended') say(`${phase} was started at ${at} by ${by} and did not finish: it resumes`);
}

/** Prints the SQL that a run would execute, as a script for psql; with `database`, only that of one database. */
export async function plan(
  context: CommandContext,
  options: RunOptions & { readonly database?: 'target' | 'legacy' },
): Promise<boolean> {
  const last = parsePhase(options.to ?? phases.at(-1)!.name, context.pipeline.plan);
  return await withRun(context, toPhaseOptions(context, options, last.name), true, async (phaseRun) => {
    const planned: { phase: string; needed: boolean; sections: readonly Section[]; notes: readonly string[] }[] = [];
    for (const { name, forward } of phasesTo(last.name)) {
      const { isNeeded, sections, notes } = await forward.plan(phaseRun);
      const backup = isNeeded && forward.backsUp === true ? [BACKED_UP] : [];
      planned.push({ phase: name, needed: isNeeded, sections, notes: [...backup, ...notes] });
    }
    printPlan(planned, options);
    return true;
  });
}

const BACKED_UP =
  'before it, a backup of the new schema is made and restored elsewhere, unless one holds what is there';

function printPlan(
  planned: readonly { phase: string; needed: boolean; sections: readonly Section[]; notes: readonly string[] }[],
  options: { readonly json?: boolean; readonly database?: 'target' | 'legacy' },
): void {
  if (options.json) {
    printJson(planned);
    return;
  }
  for (const { phase, needed, sections, notes } of planned) {
    const own = sections.filter(({ database }) => options.database === undefined || database === options.database);
    print(`-- phase ${phase}${needed ? '' : ': nothing to do'}`);
    for (const note of notes) print(`--   ${note}`);
    if (own.length > 0) print(toScript(own));
  }
}

/** Rolls a phase back. Returns whether it succeeded. */
export async function rollback(context: CommandContext, name: string, options: RunOptions): Promise<boolean> {
  const phase = parsePhase(name, context.pipeline.plan);
  const undertaking = backOf(phase);
  if (!options.dryRun) refuseUnanswerable(context, options);
  return await withRun(
    context,
    toPhaseOptions(context, options, phase.name),
    options.json === true,
    async (phaseRun) => {
      if (options.dryRun) {
        const { isNeeded, sections, notes } = await undertaking.plan(phaseRun);
        printPlan([{ phase: `${phase.name}, rolled back`, needed: isNeeded, sections, notes }], options);
        return true;
      }
      return await alone(phaseRun, async () => {
        phaseRun.say(`taking ${phase.name} back: ${phase.rollbackSummary}`);
        const result = await carryOut(phaseRun, phase, 'rollback', { yes: options.yes === true });
        if (options.json) printJson(result);
        return result.verdict === 'done';
      });
    },
  );
}

/** Shows the state of each phase and each migration. Returns false if a phase was begun and not completed, or migrations are not applied. */
export async function status(context: CommandContext, options: { json?: boolean }): Promise<boolean> {
  const target = await openOwner(context, 'target');
  try {
    const standings = toStandings(await readEntries(target));
    const migrations = (await readMigrationState(target, migrationsOf(context.pipeline))).map(
      ({ migration, appliedAt }) => ({
        schema: migration.schema,
        number: migration.number,
        name: migration.name,
        appliedAt,
      }),
    );
    if (options.json) printJson({ phases: standings, migrations });
    else {
      print('Phases');
      for (const line of toTableLines(standings.map(({ phase, state, at, by }) => [phase, state, at ?? '', by ?? ''])))
        print(`  ${line}`);
      print('\nMigrations');
      for (const line of toTableLines(
        migrations.map((migration) => [labelOf(migration), migration.appliedAt ?? 'not applied']),
      ))
        print(`  ${line}`);
    }
    return (
      migrations.every(({ appliedAt }) => appliedAt !== null) &&
      standings.every(({ state }) => state !== 'begun, not ended' && state !== 'failed')
    );
  } finally {
    await target.end();
  }
}

/** Prepares both databases without phases, or prints how. */
export async function up(context: CommandContext, options: LockOptions & { dryRun?: boolean }): Promise<boolean> {
  if (options.dryRun) return await planUpOnly(context, options);
  const { config } = context;
  const say = (message: string) => print(message);
  const target = await openOwner(context, 'target');
  try {
    const applied = await migrateUp(target, (name) => print(`applied ${name}`), {
      ...ddlOptions(context, config.targetOwnerUrl(), options.lockTimeout, say),
      migrations: migrationsOf(context.pipeline),
      guard: await createDropGuard(target, null),
    });
    if (applied.length === 0) print('the new schema is up to date');
  } finally {
    await target.end();
  }
  const legacy = await openOwner(context, 'legacy');
  try {
    const ddl = ddlOptions(context, config.legacyOwnerUrl(), options.lockTimeout, say);
    const statements = await planSourceSetup(legacy, captureOf(config));
    for (const statement of statements) {
      await retryLocked(legacy, statement.split(' ').slice(0, 3).join(' '), ddl, () =>
        inDdlTransaction(legacy, ddl.lockTimeoutMs, () => legacy.query(statement)),
      );
      print(statement);
    }
    if (statements.length === 0) print('the legacy tables are prepared');
  } finally {
    await legacy.end();
  }
  return true;
}

async function planUpOnly(context: CommandContext, options: LockOptions): Promise<boolean> {
  const chosen = phases.filter(({ name }) => name === 'schema' || name === 'capture');
  return await withRun(context, toPhaseOptions(context, options, 'capture'), true, async (phaseRun) => {
    for (const { name, forward } of chosen) {
      const { isNeeded, sections } = await forward.plan(phaseRun);
      if (isNeeded) print(toScript(sections));
      else print(name === 'schema' ? '-- the new schema is up to date' : '-- the legacy tables are prepared');
    }
    return true;
  });
}

/** Undoes migrations of the new schema. Drops no rows that are not in a verified backup. */
export async function down(
  context: CommandContext,
  steps: number,
  options: LockOptions & WithoutBackup & { yes?: boolean },
): Promise<boolean> {
  const withoutBackup = toReason(options);
  if (!options.yes)
    throw new CrosswalkError('config_invalid.down_unconfirmed', `This drops tables of the new schema and their rows`);
  const url = context.config.targetOwnerUrl();
  const migrations = migrationsOf(context.pipeline);
  const target = await openOwner(context, 'target');
  try {
    if ((await readApplied(target, migrations)).length === 0) {
      print('nothing to undo');
      return true;
    }
    await ensurePhaseLog(target);
    const entry = {
      ...{ runId: randomUUID(), phase: 'schema' as const, action: 'down' as const },
      ...(withoutBackup === null ? {} : { reason: withoutBackup }),
    };
    await appendEntry(target, { ...entry, verdict: 'begun', detail: { steps } });
    const undone: string[] = [];
    const onUndone = (name: string) => {
      undone.push(name);
      print(`undone ${name}`);
    };
    try {
      await migrateDown(target, steps, onUndone, {
        ...ddlOptions(context, url, options.lockTimeout, (message) => print(message)),
        migrations,
        guard: await createDropGuard(target, withoutBackup),
      });
      await appendEntry(target, { ...entry, verdict: 'done', detail: { undone } });
    } catch (error) {
      await appendEntry(target, { ...entry, verdict: 'failed', detail: { undone } }).catch(() => undefined);
      throw error;
    }
  } finally {
    await target.end();
  }
  return true;
}
