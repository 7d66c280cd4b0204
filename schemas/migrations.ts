import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { reach } from '../runtime/faults.ts';
import { holdingLock } from './advisory-lock.ts';
import { runConcurrentStep } from './concurrent-index.ts';
import { type DdlOptions, ddlDefaults, inDdlTransaction, retryLocked } from './ddl-retry.ts';
import { type MigrationStep, parseSteps } from './migration-steps.ts';
import { toRefusal } from './refusal.ts';

/**
 * One numbered migration of one schema. `checksum`: of the up file. An applied migration must not change, unless its
 * first line names the checksum that it replaces: then it must lead, together with the later ones, to the same result
 * as the replaced one.
 */
export interface Migration {
  readonly schema: string;
  readonly number: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
  readonly checksum: string;
  readonly replaces: string | null;
}

/** Numbered migrations of one schema. */
export interface MigrationFolder {
  readonly schema: string;
  readonly folder: string;
}

export interface MigrationState {
  readonly migration: Migration;
  readonly appliedAt: string | null;
}

/** The engine's own migrations. */
const ENGINE: MigrationFolder = { schema: 'crosswalk', folder: join(import.meta.dirname, 'crosswalk') };

const REPLACES = /^-- crosswalk: replaces ([0-9a-f]{64})$/m;

/**
 * All migrations in order of application: the engine's first, then those of the new schema; `target` null: another tool
 * creates that schema.
 */
export function readMigrations(target: MigrationFolder | null, engine = ENGINE): Migration[] {
  return [engine, ...(target === null ? [] : [target])].flatMap(({ schema, folder }) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.up.sql'))
      .sort()
      .map((file) => {
        const up = readFileSync(join(folder, file), 'utf8');
        const down = readFileSync(join(folder, file.replace('.up.sql', '.down.sql')), 'utf8');
        return {
          schema,
          number: Number(file.slice(0, 3)),
          name: file.slice(4, -'.up.sql'.length),
          up,
          down,
          checksum: createHash('sha256').update(up).digest('hex'),
          replaces: REPLACES.exec(up.slice(0, up.indexOf('\n')))?.[1] ?? null,
        };
      }),
  );
}

/** Display name of a migration: `crosswalk/003_verification`. */
export function labelOf(migration: Pick<Migration, 'schema' | 'number' | 'name'>): string {
  return `${migration.schema}/${String(migration.number).padStart(3, '0')}_${migration.name}`;
}

/**
 * Reads which migrations are applied. Throws `migration_failed` if an applied one was changed, or if the database has
 * one unknown to this program.
 */
export async function readMigrationState(
  client: pg.ClientBase,
  migrations: readonly Migration[],
): Promise<MigrationState[]> {
  const { rows: exists } = await client.query<{ found: string | null }>(
    `SELECT to_regclass('crosswalk.migration')::text AS found`,
  );
  const { rows } =
    exists[0]?.found == null
      ? { rows: [] }
      : await client.query<{ schema: string; number: string; name: string; checksum: string; applied_at: string }>(
          'SELECT schema, number, name, checksum, applied_at FROM crosswalk.migration ORDER BY 1, 2',
        );
  for (const row of rows) {
    const known = migrations.find(
      (migration) => migration.schema === row.schema && migration.number === Number(row.number),
    );
    if (known === undefined) {
      throw new CrosswalkError(
        'migration_failed.later_version',
        `The target database has migration ${row.schema}/${row.number} ${row.name}, unknown to this program`,
      );
    }
    if (known.checksum !== row.checksum && known.replaces !== row.checksum) {
      throw new CrosswalkError(
        'migration_failed.changed',
        `Migration ${labelOf(known)} is not the one that was applied`,
      );
    }
  }
  return migrations.map((migration) => ({
    migration,
    appliedAt:
      rows.find((row) => row.schema === migration.schema && Number(row.number) === migration.number)?.applied_at ??
      null,
  }));
}

/** Serialises migration runs on one database. */
const LOCK = 'crosswalk.migration';

/**
 * Options for applying and undoing. `guard` runs in each transaction, before its statements, and throws if they would
 * drop something that must be kept.
 */
export interface MigrateOptions extends Partial<DdlOptions> {
  readonly migrations: readonly Migration[];
  readonly guard?: (client: pg.ClientBase, sql: string) => Promise<void>;
}

/**
 * Applies missing migrations, each with its mark in one transaction, or in its declared steps. Idempotent, and safe to
 * run concurrently. Returns the applied ones.
 */
export async function migrateUp(
  client: pg.ClientBase,
  onApplied: (name: string) => void,
  options: MigrateOptions,
): Promise<string[]> {
  const ddl = { ...ddlDefaults, ...options };
  const { migrations } = options;
  return await whileAlone(client, ddl, async () => {
    const bookkeeping = await planBookkeeping(client, migrations);
    if (bookkeeping !== null) await client.query(bookkeeping);
    const applied: string[] = [];
    for (const { migration, appliedAt } of await readMigrationState(client, migrations)) {
      if (appliedAt !== null) continue;
      await runSteps(
        client,
        migration,
        parseSteps(migration.up, labelOf(migration)),
        ddl,
        () =>
          client.query('INSERT INTO crosswalk.migration (schema, number, name, checksum) VALUES ($1, $2, $3, $4)', [
            ...[migration.schema, migration.number, migration.name, migration.checksum],
          ]),
        options.guard,
      );
      applied.push(labelOf(migration));
      onApplied(labelOf(migration));
    }
    return applied;
  });
}

/** Undoes the last applied migrations, in reverse order of application. Returns the undone ones. */
export async function migrateDown(
  client: pg.ClientBase,
  steps: number,
  onUndone: (name: string) => void,
  options: MigrateOptions,
): Promise<string[]> {
  return await undo(client, onUndone, options, (applied) => applied.slice(0, steps));
}

/** Undoes these migrations if applied, the last one first. */
export async function undoMigrations(
  client: pg.ClientBase,
  names: readonly string[],
  onUndone: (name: string) => void,
  options: MigrateOptions,
): Promise<string[]> {
  return await undo(client, onUndone, options, (applied) => applied.filter((one) => names.includes(labelOf(one))));
}

async function undo(
  client: pg.ClientBase,
  onUndone: (name: string) => void,
  options: MigrateOptions,
  choose: (applied: Migration[]) => Migration[],
): Promise<string[]> {
  const ddl = { ...ddlDefaults, ...options };
  const { migrations } = options;
  return await whileAlone(client, ddl, async () => {
    const undone: string[] = [];
    for (const migration of choose(await readApplied(client, migrations))) {
      await runSteps(
        client,
        migration,
        parseSteps(migration.down, labelOf(migration)),
        ddl,
        () =>
          client.query('DELETE FROM crosswalk.migration WHERE schema = $1 AND number = $2', [
            ...[migration.schema, migration.number],
          ]),
        options.guard,
      );
      undone.push(labelOf(migration));
      onUndone(labelOf(migration));
    }
    return undone;
  });
}

/** Applied migrations, the last one first. Those applied at the same time are ordered by number. */
export async function readApplied(client: pg.ClientBase, migrations: readonly Migration[]): Promise<Migration[]> {
  const state = await readMigrationState(client, migrations);
  const applied = state.filter(({ appliedAt }) => appliedAt !== null).map(({ migration }) => migration);
  if (applied.length === 0) return [];
  const { rows } = await client.query<{ schema: string; number: string }>(
    'SELECT schema, number::text FROM crosswalk.migration ORDER BY applied_at',
  );
  const place = new Map(rows.map(({ schema, number }, at) => [`${schema} ${number}`, at]));
  const placeOf = ({ schema, number }: Migration) => place.get(`${schema} ${number}`) ?? 0;
  return applied.toSorted((a, b) => placeOf(a) - placeOf(b)).reverse();
}

/** The transactional statements for undoing these migrations, in order. */
export async function readUndoStatements(
  client: pg.ClientBase,
  names: readonly string[],
  migrations: readonly Migration[],
): Promise<string[]> {
  return (await readApplied(client, migrations))
    .filter((migration) => names.includes(labelOf(migration)))
    .flatMap((migration) => parseSteps(migration.down, labelOf(migration)))
    .filter(({ kind }) => kind === 'transaction')
    .map(({ sql }) => sql);
}

/**
 * Runs one migration, up or down, step by step; `mark` belongs to the last step. Each attempt to get a lock is a
 * separate transaction.
 */
async function runSteps(
  client: pg.ClientBase,
  migration: Migration,
  steps: readonly MigrationStep[],
  ddl: DdlOptions,
  mark: () => Promise<unknown>,
  guard?: MigrateOptions['guard'],
): Promise<void> {
  const name = labelOf(migration);
  for (const [at, step] of steps.entries()) {
    await reach?.('migration_step.before');
    const isLast = at === steps.length - 1;
    if (step.kind === 'concurrently') {
      await runConcurrentStep(client, step, ddl);
      if (isLast) await mark();
    } else {
      await retryLocked(client, `migration ${name}`, ddl, () =>
        inDdlTransaction(client, ddl.lockTimeoutMs, async () => {
          await guard?.(client, step.sql);
          await client.query(step.sql);
          if (isLast) await mark();
        }).catch((error: unknown) => {
          throw toRefusal(error, `migration ${name}`);
        }),
      );
    }
    await reach?.('migration_step.after');
  }
}

async function whileAlone<T>(client: pg.ClientBase, ddl: DdlOptions, work: () => Promise<T>): Promise<T> {
  const onWait = () => ddl.onWait('another run of migrations is at work: waiting for its end');
  return await holdingLock(client, LOCK, { signal: ddl.signal, onWait }, work);
}

/**
 * The statements that create the list of migrations; null if it exists. Schemas created by an administrator need no
 * privilege to create them.
 */
export async function planBookkeeping(client: pg.ClientBase, migrations: readonly Migration[]): Promise<string | null> {
  const { rows: schemas } = await client.query<{ schema: string }>(
    'SELECT quote_ident(s) AS schema FROM unnest($1::text[]) AS s WHERE to_regnamespace(quote_ident(s)) IS NULL',
    [[...new Set(['crosswalk', ...migrations.map(({ schema }) => schema)])]],
  );
  const { rows } = await client.query<{ found: string | null }>(
    `SELECT to_regclass('crosswalk.migration')::text AS found`,
  );
  if (schemas.length === 0 && rows[0]!.found !== null) return null;
  return [
    ...schemas.map(({ schema }) => `CREATE SCHEMA IF NOT EXISTS ${schema};`),
    'CREATE TABLE IF NOT EXISTS crosswalk.migration (schema text, number integer, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (schema, number));',
  ].join('\n');
}
