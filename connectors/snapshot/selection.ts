import pg from 'pg';
import type { Relation } from '../../changes/change.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { toSource } from './chunks.ts';
import { readCondition } from './condition-text.ts';
import type { Selection } from './work.ts';

/**
 * Runs `work` in a transaction that cannot write and whose statements end after `timeoutMs`. It is undone at its end, with whatever a condition may have set.
 * Each statement has a snapshot of its own.
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
 * Whether a selection can be read; returns its rows as PostgreSQL estimates them. Throws `config_invalid` for what must not be put into a statement, and what PostgreSQL
 * throws: `toRefusal` makes a reason of either.
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

/** The rows of a selection, counted: keys without a row are none. */
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

/** A volatile function answers otherwise each time, or does something: neither belongs into a condition. */
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

/** SQLSTATEs of a server, or a connection, that comes back. */
const PASSING = /^(08|40|57P|58|53300)/;
/** Those whose message tells of the statement, and never of a value in a row. */
const ABOUT_STATEMENT = /^(0A|25|42|54)/;

/** Why a selection cannot be read, without a value of any row; null where it is not to blame. */
export function toRefusal(error: unknown, timeoutMs: number): string | null {
  if (error instanceof CrosswalkError) return error.code === 'config_invalid' ? error.message : null;
  if (!(error instanceof pg.DatabaseError) || error.code === undefined || PASSING.test(error.code)) return null;
  const { code, message } = error;
  if (code === '57014') return `a statement took longer than ${timeoutMs / 1000} s, or was cancelled`;
  if (code === '22012') return 'division by zero';
  if (ABOUT_STATEMENT.test(code)) return message.split('\n')[0]!;
  return `PostgreSQL cannot compute a value in it (SQLSTATE ${code})`;
}
