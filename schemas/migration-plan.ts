import type pg from 'pg';
import { type DdlOptions, ddlDefaults } from './ddl-retry.ts';
import { isOneTransaction, type MigrationStep, parseSteps } from './migration-steps.ts';
import {
  labelOf,
  type MigrateOptions,
  type Migration,
  planBookkeeping,
  readApplied,
  readMigrationState,
} from './migrations.ts';
import { quoteLiteral } from './quote.ts';

/** A part of a plan: statements for a plain client that sends one at a time, with their own transactions. */
export interface PlanSection {
  readonly title: string;
  readonly sql: string;
}

/** The statements that `migrateUp` would run; empty if nothing is missing. Read-only. */
export async function planUp(client: pg.ClientBase, options: MigrateOptions): Promise<PlanSection[]> {
  const ddl = { ...ddlDefaults, ...options };
  const state = await readMigrationState(client, options.migrations);
  const pending = state.filter(({ appliedAt }) => appliedAt === null).map(({ migration }) => migration);
  const bookkeeping = await planBookkeeping(client, options.migrations);
  const { rows: told } = await client.query<{ email: string | null }>(
    `SELECT nullif(current_setting('crosswalk.admin_email', true), '') AS email`,
  );
  const email = pending.length === 0 ? null : told[0]!.email;
  return [
    ...(email === null ? [] : [{ title: 'settings', sql: `SET crosswalk.admin_email = ${quoteLiteral(email)};` }]),
    ...(bookkeeping === null ? [] : [{ title: 'the list of migrations', sql: bookkeeping }]),
    ...pending.flatMap((migration) => {
      const { schema, number, name, checksum } = migration;
      const mark = `INSERT INTO crosswalk.migration (schema, number, name, checksum) VALUES ('${schema}', ${number}, '${name}', '${checksum}');`;
      return toSections(migration, parseSteps(migration.up, labelOf(migration)), mark, ddl);
    }),
  ];
}

/** The statements that undoing these migrations would run, the last applied one first. Read-only. */
export async function planUndo(
  client: pg.ClientBase,
  names: readonly string[],
  options: MigrateOptions,
): Promise<PlanSection[]> {
  const ddl = { ...ddlDefaults, ...options };
  const applied = await readApplied(client, options.migrations);
  return applied
    .filter((migration) => names.includes(labelOf(migration)))
    .flatMap((migration) => {
      const mark = `DELETE FROM crosswalk.migration WHERE schema = '${migration.schema}' AND number = ${migration.number};`;
      return toSections(migration, parseSteps(migration.down, labelOf(migration)), mark, ddl);
    });
}

function toSections(
  migration: Migration,
  steps: readonly MigrationStep[],
  mark: string,
  ddl: DdlOptions,
): PlanSection[] {
  const name = labelOf(migration);
  const inTransaction = (sql: string) =>
    ['BEGIN;', `SET LOCAL lock_timeout = ${ddl.lockTimeoutMs};`, sql.trim(), 'COMMIT;'].join('\n');
  if (isOneTransaction(steps)) return [{ title: name, sql: inTransaction(`${steps[0]?.sql.trim() ?? ''}\n${mark}`) }];
  return steps.map((step, at) => {
    const ending = at === steps.length - 1 ? [mark] : [];
    const title = `${name}, step ${at + 1} of ${steps.length}`;
    if (step.kind === 'transaction') return { title, sql: inTransaction([step.sql.trim(), ...ending].join('\n')) };
    const { schema, name: index, table } = step.index;
    return {
      title: `${title}, outside of a transaction`,
      sql: [
        `SET lock_timeout = ${ddl.concurrentTimeoutMs};`,
        'SET statement_timeout = 0;',
        // The migration is not applied: an index of that name is left over from a failed build.
        ...(table === null ? [] : [`DROP INDEX CONCURRENTLY IF EXISTS ${schema}.${index};`]),
        step.sql,
        'RESET lock_timeout;',
        'RESET statement_timeout;',
        ...ending,
      ].join('\n'),
    };
  });
}
