import type pg from 'pg';
import type { LegacyCheck } from '../projectors/pipeline.ts';
import { inTransaction } from '../runtime/postgres.ts';
import { quoteIdent } from '../schemas/quote.ts';
import { type Check, checksOf } from './checks.ts';

/** Tables or columns that are not there, and rights that are missing: then a check says nothing. */
const UNREADABLE = /^(?:42P01|42703|42883|42501)$/;

/** Counts legacy rows that contradict each other, each check in a READ ONLY transaction of its own. Never a value, only counts. */
export async function readLegacyChecks(
  legacy: pg.ClientBase,
  schema: string,
  wanted: readonly LegacyCheck[],
): Promise<Check[]> {
  const found: Check[] = [];
  for (const check of wanted) found.push(...(await readOne(legacy, schema, check)));
  const { ok } = checksOf('source');
  return wanted.length > 0 && found.length === 0 ? [ok('rows', 'legacy rows refer to rows that are there')] : found;
}

async function readOne(
  legacy: pg.ClientBase,
  schema: string,
  { name, sql, isFatal, remedy }: LegacyCheck,
): Promise<Check[]> {
  const { warning, failing } = checksOf('source');
  try {
    const count = await inTransaction(
      legacy,
      async () => {
        await legacy.query(`SET LOCAL search_path = ${quoteIdent(schema)}`);
        const { rows } = await legacy.query<{ count: string }>(sql);
        return BigInt(rows[0]?.count ?? 0);
      },
      'BEGIN READ ONLY',
    );
    if (count === 0n) return [];
    return [(isFatal ? failing : warning)('rows', `${count} ${name}`, remedy)];
  } catch (error) {
    if (!UNREADABLE.test(String((error as { code?: unknown } | null)?.code))) throw error;
    return [warning('rows', `It is not known how many ${name}`, 'Let the owner of the legacy tables run this phase.')];
  }
}
