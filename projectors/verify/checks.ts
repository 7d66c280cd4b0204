import type pg from 'pg';
import type { Config } from '../../runtime/config.ts';
import { rejectsSql } from '../../schemas/rejects.ts';
import type { Checks, LegacyTotal } from '../pipeline.ts';
import { COUNTED_ROWS } from './findings.ts';
import type { Sum } from './tally.ts';

/** One check on whole tables: two figures, as text, that must be equal. */
export interface Check {
  readonly name: string;
  readonly expected: string;
  readonly actual: string;
  readonly ok: boolean;
}

/** The checks of legacy totals over the compared legacy rows. `found`: totals by name. `sums`: sums of the new columns and counts of rows. */
export function toTotalChecks(
  totals: readonly LegacyTotal[],
  found: ReadonlyMap<string, string>,
  sums: readonly Sum[],
): Check[] {
  return totals
    .filter(({ name }) => found.has(name))
    .map(({ name, table, column }) => {
      const expected = found.get(name)!;
      const [where, what] = column === null ? [COUNTED_ROWS, table] : [table, column];
      const actual = sums.find((sum) => sum.table === where && sum.column === what)?.actual ?? '0';
      return { name, expected, actual, ok: expected === actual };
    });
}

/** The checks within the new tables, each in one statement and so in one snapshot. They join whole tables, so the planner must be free to choose the join method. */
export async function runChecks(
  target: pg.ClientBase,
  checks: Checks['target'] = [],
  tenant: string | null,
): Promise<Check[]> {
  const done: Check[] = [];
  for (const { name, sql } of checks) {
    const { rows } = await target.query<{ expected: string; actual: string }>(sql, [tenant]);
    const { expected, actual } = rows[0]!;
    done.push({ name, expected, actual, ok: expected === actual });
  }
  return done;
}

/** Shown beside the result: number of legacy rows, and the sum of one of their amounts; null if they have none. */
export interface Note {
  readonly reason: string;
  readonly count: number;
  readonly counted: string;
  readonly sum: string | null;
  readonly summed: string;
  readonly see?: string;
}

export async function readNotes(
  target: pg.ClientBase,
  notes: Checks['notes'] = [],
  tenant: string | null,
): Promise<Note[]> {
  const read: Note[] = [];
  for (const { sql, counted, summed, see } of notes) {
    const { rows } = await target.query<{ reason: string; count: string; sum: string | null }>(sql, [tenant]);
    const of = { counted, summed, ...(see === undefined ? {} : { see }) };
    read.push(...rows.map(({ reason, count, sum }) => ({ reason, count: Number(count), sum, ...of })));
  }
  return read;
}

/** Rejects, open dead letters and parked changes. Shown beside the result; they can never make it pass. */
export async function countExceptions(
  target: pg.ClientBase,
  rejects: Config['rejectsTables'],
  tenant: string | null,
): Promise<{ rejects: number; deadLetters: number; parked: number }> {
  const { rows } = await target.query<{ dead_letters: string; parked: string }>(
    `SELECT (SELECT count(*) FROM dead_letter WHERE resolved_at IS NULL)::text AS dead_letters, (SELECT count(*) FROM parked_change)::text AS parked`,
  );
  return {
    rejects: rejects.length === 0 ? 0 : await countRejects(target, rejects, tenant),
    deadLetters: Number(rows[0]!.dead_letters),
    parked: Number(rows[0]!.parked),
  };
}

async function countRejects(
  target: pg.ClientBase,
  tables: Config['rejectsTables'],
  tenant: string | null,
): Promise<number> {
  const { rows } = await target.query<{ count: string }>(
    `SELECT count(*)::text AS count FROM ${rejectsSql(tables, ['origin', 'tenant_id'], null)} WHERE origin = 'cdc' AND ($1::text IS NULL OR tenant_id = $1)`,
    [tenant],
  );
  return Number(rows[0]!.count);
}
