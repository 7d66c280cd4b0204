import { toCrosswalkError } from '../../runtime/errors.ts';
import { addressOf, connect } from '../../runtime/postgres.ts';
import { rejectsSql } from '../../schemas/rejects.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toCountText, toTableLines } from '../quantity-text.ts';

interface Reject {
  readonly table: string | null;
  readonly key: string | null;
  readonly path: string;
  readonly reason: string;
  readonly rawValue?: string;
}

/**
 * Lists legacy values that are invalid in the new schema: counts by table, path and reason, then the rows. Values are printed only with `unmask`. They are findings about
 * the legacy data, not about the pipeline, so it returns true.
 */
export async function rejects(
  { config }: CommandContext,
  options: { limit: number; unmask?: boolean; json?: boolean },
): Promise<boolean> {
  const url = config.targetUrl();
  const { counts, rows } = await readRejects(url, config, options).catch((error: unknown) => {
    throw toCrosswalkError(error, `target database ${addressOf(url)}`);
  });
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  if (options.json) printJson({ total, counts, rows });
  else for (const line of toRejectLines(total, counts, rows)) print(line);
  return true;
}

interface RejectCount {
  readonly table: string | null;
  readonly path: string;
  readonly reason: string;
  readonly count: number;
}

async function readRejects(
  url: string,
  { targetSchema, rejectsTables }: CommandContext['config'],
  options: { limit: number; unmask?: boolean },
): Promise<{ counts: RejectCount[]; rows: Reject[] }> {
  if (rejectsTables.length === 0) return { counts: [], rows: [] };
  const columns = ['id', 'legacy_table', 'legacy_key', 'path', 'reason', ...(options.unmask ? ['raw_value'] : [])];
  const table = rejectsSql(rejectsTables, columns, targetSchema);
  const client = await connect(url, 'rejects');
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // A number in a path is an array index: all indexes count as one pattern.
    const { rows: counts } = await client.query<Omit<RejectCount, 'count'> & { count: string }>(
      `SELECT legacy_table AS table, regexp_replace(path, '[0-9]+', '*', 'g') AS path, reason, count(*)::text
       FROM ${table} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
    );
    const { rows } = await client.query<Reject>(
      `SELECT legacy_table AS table, legacy_key AS key, path, reason${options.unmask ? ', raw_value AS "rawValue"' : ''}
       FROM ${table} ORDER BY legacy_table, path, reason, legacy_key, id LIMIT $1`,
      [options.limit],
    );
    return { counts: counts.map((row) => ({ ...row, count: Number(row.count) })), rows };
  } finally {
    await client.end();
  }
}

/** Output of `rejects`. */
export function toRejectLines(total: number, counts: readonly RejectCount[], rows: readonly Reject[]): string[] {
  if (total === 0) return ['No legacy value was rejected.'];
  const value = ({ rawValue }: Reject) => (rawValue === undefined ? [] : [JSON.stringify(rawValue)]);
  return [
    `Rejected legacy values: ${toCountText(total)}`,
    '',
    ...toTableLines(
      counts.map((row) => [toCountText(row.count), row.table ?? '', row.path, row.reason]),
      [0],
    ),
    '',
    ...toTableLines(rows.map((row) => [row.table ?? '', row.key ?? '', row.path, row.reason, ...value(row)])),
    ...(rows.length < total ? [`… and ${toCountText(total - rows.length)} more: --limit ${total}`] : []),
  ];
}
