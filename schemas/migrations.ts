import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { inTransaction } from '../runtime/postgres.ts';

/** One numbered migration of one schema. `checksum` of the up file: an applied migration must not change afterwards. */
export interface Migration {
  readonly schema: 'crosswalk' | 'crm';
  readonly number: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
  readonly checksum: string;
}

export interface MigrationState {
  readonly migration: Migration;
  readonly appliedAt: string | null;
}

/** All migrations in the order of application: the projectors' state first, then the new schema. */
export function readMigrations(folder = import.meta.dirname): Migration[] {
  return (['crosswalk', 'crm'] as const).flatMap((schema) =>
    readdirSync(join(folder, schema))
      .filter((file) => file.endsWith('.up.sql'))
      .sort()
      .map((file) => {
        const up = readFileSync(join(folder, schema, file), 'utf8');
        const down = readFileSync(join(folder, schema, file.replace('.up.sql', '.down.sql')), 'utf8');
        return {
          schema,
          number: Number(file.slice(0, 3)),
          name: file.slice(4, -'.up.sql'.length),
          up,
          down,
          checksum: createHash('sha256').update(up).digest('hex'),
        };
      }),
  );
}

const label = (migration: Migration) =>
  `${migration.schema}/${String(migration.number).padStart(3, '0')}_${migration.name}`;

/** Which migrations are applied. Throws `migration_failed` where an applied one was changed, or where the database knows one that this program does not. */
export async function readMigrationState(
  client: pg.ClientBase,
  migrations = readMigrations(),
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
        'migration_failed',
        `The target database has migration ${row.schema}/${row.number} ${row.name}, unknown to this program`,
        'Run the version of crosswalk that applied it, or a later one.',
      );
    }
    if (known.checksum !== row.checksum) {
      throw new CrosswalkError(
        'migration_failed',
        `Migration ${label(known)} is not the one that was applied`,
        'Never change an applied migration: put the change into a new one.',
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

/** Serialises migration runs against one database. */
const LOCK = `SELECT pg_advisory_xact_lock(hashtext('crosswalk.migration'))`;

/** Applies what is missing, each migration in a transaction of its own with its mark. Safe to run twice, and by two at once. Answers with what it applied. */
export async function migrateUp(client: pg.ClientBase, onApplied: (name: string) => void): Promise<string[]> {
  const applied: string[] = [];
  await inTransaction(client, async () => {
    await client.query(LOCK);
    await client.query('CREATE SCHEMA IF NOT EXISTS crosswalk');
    await client.query('CREATE SCHEMA IF NOT EXISTS crm');
    await client.query(
      'CREATE TABLE IF NOT EXISTS crosswalk.migration (schema text, number integer, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (schema, number))',
    );
  });
  for (const migration of readMigrations()) {
    await inTransaction(client, async () => {
      await client.query(LOCK);
      const state = await readMigrationState(client);
      if (state.find((entry) => label(entry.migration) === label(migration))?.appliedAt != null) return;
      await client.query(`SET LOCAL lock_timeout = '5s'`);
      await client.query(migration.up);
      await client.query('INSERT INTO crosswalk.migration (schema, number, name, checksum) VALUES ($1, $2, $3, $4)', [
        migration.schema,
        migration.number,
        migration.name,
        migration.checksum,
      ]);
      applied.push(label(migration));
    });
    if (applied.at(-1) === label(migration)) onApplied(label(migration));
  }
  return applied;
}

/** Undoes the last applied migrations, newest first. Answers with what it undid. */
export async function migrateDown(
  client: pg.ClientBase,
  steps: number,
  onUndone: (name: string) => void,
): Promise<string[]> {
  const undone: string[] = [];
  for (let step = 0; step < steps; step++) {
    const name = await inTransaction(client, async () => {
      await client.query(LOCK);
      const last = (await readMigrationState(client)).filter((entry) => entry.appliedAt !== null).at(-1)?.migration;
      if (last === undefined) return null;
      await client.query(`SET LOCAL lock_timeout = '5s'`);
      await client.query(last.down);
      await client.query('DELETE FROM crosswalk.migration WHERE schema = $1 AND number = $2', [
        last.schema,
        last.number,
      ]);
      return label(last);
    });
    if (name === null) break;
    undone.push(name);
    onUndone(name);
  }
  return undone;
}
