import pg from 'pg';
import type { Relation } from '../../changes/change.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { toSource } from './chunks.ts';
import { readCondition } from './condition-text.ts';
import type { Selection } from './work.ts';

/**
 * Runs `work` in a read-only transaction with a statement timeout of `timeoutMs`. It is rolled back at its end,
 * including any settings changed by a condition. Each statement has its own snapshot.
 */
export async function readOnly<T>(client: pg.ClientBase, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  await client.query(
    `BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = ${timeoutMs}; SET LOCAL standard_conforming_strings = on`,
  );
  try {
    return await work();
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/**
 * Checks that a selection can be read; returns PostgreSQL's estimate of its rows. Throws `config_invalid` for what must
 * not be put into a statement, and PostgreSQL's errors; `toRefusal` turns both into a reason.
 */
export async function inspectSelection(
  client: pg.ClientBase,
  relation: Relation,
  selection: Selection,
  timeoutMs: number,
): Promise<number> {
  const { where, keys } = selection;
  if (keys !== null) {
    const columns = relation.key.length;
    if (keys.some((key) => key.length !== columns))
      throw toInvalid(`a key of ${relation.table} has ${columns} column${columns === 1 ? '' : 's'}`);
    return keys.length;
  }
  if (where !== null) await assertHarmless(client, where);
  return readOnly(client, timeoutMs, async () => {
    const source = toSource(relation, selection);
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN (FORMAT JSON) SELECT FROM ${source.from} WHERE ${source.where}`,
    );
    const [{ Plan: plan }] = JSON.parse(rows[0]!['QUERY PLAN']) as [{ Plan: { 'Plan Rows': number } }];
    return plan['Plan Rows'];
  });
}

/** Counts the rows of a selection; keys without a row do not count. */
export async function countRows(
  client: pg.ClientBase,
  relation: Relation,
  selection: Selection,
  timeoutMs: number,
): Promise<number> {
  return readOnly(client, timeoutMs, async () => {
    const { from, where, isMissing, values } = toSource(relation, selection);
    const { rows } = await client.query<{ count: string }>(
      `SELECT count(*) FROM ${from} WHERE ${where} AND NOT (${isMissing})`,
      values,
    );
    return Number(rows[0]!.count);
  });
}

/** A volatile function returns different results each time or has side effects: neither belongs in a condition. */
async function assertHarmless(client: pg.ClientBase, where: string): Promise<void> {
  const { problem, functions } = readCondition(where);
  if (problem !== null) throw toInvalid(`the condition cannot be used: ${problem}`);
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT p.proname AS name FROM unnest($1::text[], $2::text[]) AS called (schema, name)
     JOIN pg_namespace n ON n.nspname = coalesce(called.schema, 'pg_catalog') JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = called.name
     WHERE p.provolatile = 'v' ORDER BY 1`,
    [functions.map(({ schema }) => schema), functions.map(({ name }) => name)],
  );
  if (rows.length > 0)
    throw toInvalid(
      `the condition calls ${rows.map(({ name }) => name).join(', ')}: volatile functions are not allowed`,
    );
}

function toInvalid(message: string): CrosswalkError {
  return new CrosswalkError('config_invalid.snapshot_rows', message);
}

/** SQLSTATEs of temporary server or connection failures. */
const PASSING = /^(08|40|57P|58|53300)/;
/** SQLSTATEs whose message describes the statement and never contains a value of a row. */
const ABOUT_STATEMENT = /^(0A|25|42|54)/;

/** Why a selection cannot be read, without any row value; null if the selection is not the cause. */
export function toRefusal(error: unknown, timeoutMs: number): string | null {
  if (error instanceof CrosswalkError) return error.code === 'config_invalid' ? error.message : null;
  if (!(error instanceof pg.DatabaseError) || error.code === undefined || PASSING.test(error.code)) return null;
  const { code, message } = error;
  if (code === '57014') return `a statement took longer than ${timeoutMs / 1000} s, or was cancelled`;
  if (code === '22012') return 'division by zero';
  if (ABOUT_STATEMENT.test(code)) return message.split('\n')[0]!;
  return `PostgreSQL cannot compute a value in it (SQLSTATE ${code})`;
}
