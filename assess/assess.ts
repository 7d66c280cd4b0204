import type { Relation } from '../changes/change.ts';
import { readRelations } from '../connectors/catalog.ts';
import { captureOf } from '../connectors/source-state.ts';
import type { Config } from '../runtime/config.ts';
import { toCrosswalkError } from '../runtime/errors.ts';
import { addressOf, connect, sourceOptions } from '../runtime/postgres.ts';
import type { AssessedPipeline, Facts, TableFacts } from './facts.ts';
import { isCapturable, judge } from './judge.ts';
import { MappingTally } from './mapping.ts';
import { toPoolerRefusal } from './provider.ts';
import { readFacts } from './read-facts.ts';
import { READ_ONLY_OPTIONS, readOnly } from './read-only.ts';
import { type RowPlan, type RowsRead, readRows, toRowPlan } from './read-rows.ts';
import { type Report, toReport } from './report.ts';

const CATALOG_MS = 15_000;
const FIRST_OWN_OID = 16_384;

export interface AssessOptions {
  /** Read every row of the tables that projections read. */
  readonly full: boolean;
  /** Rows to read per table without `full`. */
  readonly sampleRows: number;
  /** Measured load rate in legacy rows per second; null: use the documented rate. */
  readonly rate: number | null;
  /** Seconds between the two readings of the end of the log. */
  readonly walSeconds: number;
  readonly signal: AbortSignal;
  readonly onProgress: (rows: number, total: number) => void;
}

/**
 * Assesses a legacy database and the result of a pipeline's mapping over its rows. Read-only: every transaction is READ ONLY, each statement has a time
 * limit, and nothing is held between statements. Throws if the server cannot be queried at all.
 */
export async function assess(config: Config, pipeline: AssessedPipeline, options: AssessOptions): Promise<Report> {
  const url = config.legacyUrl();
  const what = `legacy database ${addressOf(url)}`;
  const client = await connect(url, 'assess', `${sourceOptions} ${READ_ONLY_OPTIONS}`).catch((error: unknown) => {
    throw toPoolerRefusal(error, what) ?? toCrosswalkError(error, what);
  });
  try {
    const facts = await readFacts(client, config, pipeline, options);
    const tally = new MappingTally(pipeline);
    const read: Record<string, RowsRead> = {};
    const startedAtMs = performance.now();
    const relations = await findRelations(client, facts, pipeline);
    const plans = relations.map(({ relation, table }) => ({ relation, plan: toRowPlan(table, options), table }));
    const total = plans.reduce((sum, { plan, table }) => sum + toExpected(plan, table), 0);
    let before = 0;
    for (const { relation, plan } of plans) {
      const { table } = relation;
      const found = await readRows(client, relation, plan, {
        chunkRows: config.chunkRows,
        signal: options.signal,
        onRow: (row) => tally.add(table, row),
        onProgress: (rows) => options.onProgress(before + rows, Math.max(total, before + rows)),
      });
      read[table] = found;
      before += found.rows;
    }
    const mapping = tally.summary();
    const { legacySchema, sources, projections } = pipeline;
    const capture = captureOf({ ...config, legacySchema, tables: sources });
    return toReport({
      ...{ facts, pipeline, mapping, read },
      findings: judge(facts, { capture, projections, mapping, read }),
      at: new Date().toISOString(),
      database: addressOf(url),
      sampleRows: options.full ? null : options.sampleRows,
      rate: options.rate,
      mappedSeconds: (performance.now() - startedAtMs) / 1000,
    });
  } catch (error) {
    options.signal.throwIfAborted();
    throw toCrosswalkError(error, what);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The tables that can be read, with their columns as this role sees them: read by projections, with a key or a substitute, and without hidden rows. */
async function findRelations(
  client: Parameters<typeof readRelations>[0],
  { source, tables, server }: Facts,
  { legacySchema, projections }: AssessedPipeline,
): Promise<{ relation: Relation; table: TableFacts }[]> {
  if (source === null) return [];
  const wanted = tables.filter(
    ({ name, kind }) =>
      (kind === 'table' || kind === 'partitioned') &&
      projections.some((projection) => projection.source === name) &&
      !server.role.unreadable.includes(name) &&
      source.tables[name]?.hidesRows === false,
  );
  const relations = await readOnly(client, CATALOG_MS, () =>
    readRelations(
      client,
      source,
      { schema: legacySchema, tables: wanted.map(({ name }) => name) },
      source.canPublishGenerated,
    ),
  );
  return relations.flatMap((relation) => {
    const table = wanted.find(({ name }) => name === relation.table)!;
    if (isCapturable(table)) return [{ relation, table }];
    const key = toSubstituteKey(table);
    if (key === null) return [];
    const { keyOperatorSchemas: _, ...keyless } = relation;
    return [{ relation: { ...keyless, key }, table }];
  });
}

/** Columns that can order a table without a primary key; null if there are none. */
function toSubstituteKey({ candidates, columns }: TableFacts): readonly string[] | null {
  const isPlain = (name: string) =>
    (columns.find((column) => column.name === name)?.typeOid ?? FIRST_OWN_OID) < FIRST_OWN_OID;
  return candidates.find(({ nullable, columns: key }) => nullable.length === 0 && key.every(isPlain))?.columns ?? null;
}

/** Number of rows that a plan is expected to read. */
function toExpected(plan: RowPlan, { rows }: TableFacts): number {
  return plan.kind === 'all' ? (rows ?? 0) : plan.rows;
}
