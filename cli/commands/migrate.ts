import { planSourceSetup } from '../../connectors/source-setup.ts';
import { captureOf } from '../../connectors/source-state.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { addressOf, connect } from '../../runtime/postgres.ts';
import { untilUp } from '../../runtime/retry.ts';
import { migrateDown, migrateUp, readMigrationState } from '../../schemas/migrations.ts';
import { type CommandContext, print, printJson } from '../context.ts';

/** Prepares both databases, or prints how. */
export async function up({ config, log, signal }: CommandContext, options: { dryRun?: boolean }): Promise<boolean> {
  const targetUrl = config.targetOwnerUrl();
  const target = await untilUp(`target database ${addressOf(targetUrl)}`, () => connect(targetUrl, 'migrate'), {
    log,
    signal,
  });
  try {
    if (options.dryRun) {
      const pending = (await readMigrationState(target)).filter((entry) => entry.appliedAt === null);
      for (const { migration } of pending)
        print(`-- target database: ${migration.schema} ${migration.number} ${migration.name}\n${migration.up}`);
    } else {
      const applied = await migrateUp(target, (name) => print(`applied ${name}`));
      if (applied.length === 0) print('the new schema is up to date');
    }
  } finally {
    await target.end();
  }
  const legacyUrl = config.legacyOwnerUrl();
  const legacy = await untilUp(
    `legacy database ${addressOf(legacyUrl)}`,
    () => connect(legacyUrl, 'migrate', '-c lock_timeout=5s'),
    { log, signal },
  );
  try {
    const statements = await planSourceSetup(legacy, captureOf(config));
    for (const statement of statements) {
      print(options.dryRun ? `-- legacy database\n${statement};` : statement);
      if (!options.dryRun) await legacy.query(statement);
    }
    if (statements.length === 0)
      print(options.dryRun ? '-- the legacy tables are prepared' : 'the legacy tables are prepared');
  } finally {
    await legacy.end();
  }
  return true;
}

/** Undoes migrations of the new schema. */
export async function down({ config }: CommandContext, steps: number, options: { yes?: boolean }): Promise<boolean> {
  if (!options.yes)
    throw new CrosswalkError(
      'config_invalid',
      `This drops tables of the new schema and their rows`,
      'Say --yes to do it. The log stays, and the rows can be projected again.',
    );
  const target = await connect(config.targetOwnerUrl(), 'migrate');
  try {
    const undone = await migrateDown(target, steps, (name) => print(`undone ${name}`));
    if (undone.length === 0) print('nothing to undo');
  } finally {
    await target.end();
  }
  return true;
}

/** Lists migrations; false where some are not applied. */
export async function status({ config }: CommandContext, options: { json?: boolean }): Promise<boolean> {
  const target = await connect(config.targetOwnerUrl(), 'migrate');
  try {
    const state = (await readMigrationState(target)).map(({ migration, appliedAt }) => ({
      schema: migration.schema,
      number: migration.number,
      name: migration.name,
      appliedAt,
    }));
    if (options.json) printJson(state);
    else
      for (const entry of state)
        print(
          `${entry.schema}/${String(entry.number).padStart(3, '0')} ${entry.name.padEnd(20)} ${entry.appliedAt ?? 'not applied'}`,
        );
    return state.every((entry) => entry.appliedAt !== null);
  } finally {
    await target.end();
  }
}
