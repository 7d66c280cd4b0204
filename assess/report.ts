import { toColumnForm } from './column-form.ts';
import type { AssessedPipeline, Facts, TableFacts } from './facts.ts';
import { type Finding, type ReadTables, toSound, toVerdict, type Verdict } from './judge.ts';
import { type LoadEstimate, toLoadEstimate } from './load-time.ts';
import type { MappingSummary, RejectCount, ThrowCount } from './mapping.ts';
import { toProvider } from './provider.ts';
import type { RowsRead } from './read-rows.ts';

/** A column with its form in the log. `remark`: anything unexpected about it. */
export interface ColumnReport {
  readonly name: string;
  readonly type: string;
  readonly form: string;
  readonly remark: string | null;
}

export interface TableReport {
  readonly table: string;
  readonly kind: string;
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly partitions: number;
  readonly key: readonly string[];
  /** Unique indexes that could serve as the key of a table without one. */
  readonly keyCandidates: readonly string[];
  readonly replicaIdentity: string;
  /** unlogged, partition, inherited, row-level security, triggers, rules. */
  readonly marks: readonly string[];
  readonly columns: readonly ColumnReport[];
  readonly projections: readonly string[];
  /** Null: no rows were read. */
  readonly read: {
    readonly rows: number;
    readonly isWhole: boolean;
    /** Rows of the table per row read: 1 if all were read; null: unknown. */
    readonly standsFor: number | null;
    readonly rejectedRows: number;
    readonly rejects: readonly RejectCount[];
    readonly throws: readonly ThrowCount[];
    readonly targets: readonly { readonly table: string; readonly rows: number }[];
    readonly problem: string | null;
  } | null;
}

/** Result of an assessment. Contains no cell values: only catalog names, counts and ids of tenants. */
export interface Report {
  readonly verdict: Verdict;
  readonly at: string;
  readonly pipeline: string;
  readonly database: string;
  readonly schema: string;
  /** Maximum number of rows read per table; null: all. */
  readonly sampleRows: number | null;
  readonly findings: readonly Finding[];
  /** Everything that was checked and is in order. */
  readonly sound: readonly string[];
  readonly server: {
    readonly version: string;
    readonly provider: string;
    readonly sign: string | null;
    readonly role: string;
    readonly databaseBytes: number | null;
    readonly wal: Facts['server']['wal'];
    readonly transactions: Facts['server']['transactions'];
    readonly prepared: Facts['server']['prepared'];
    readonly otherSchemas: readonly string[];
  };
  readonly tables: readonly TableReport[];
  readonly others: readonly { readonly table: string; readonly rows: number | null; readonly bytes: number | null }[];
  readonly merges: MappingSummary['merges'];
  readonly tenants: MappingSummary['tenants'];
  readonly load: LoadEstimate;
  /** Reading and mapping in this process only. */
  readonly mapped: { readonly rows: number; readonly seconds: number };
}

const IDENTITIES: Readonly<Record<string, string>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' };

/** Builds the report from the results. Pure function. */
export function toReport(options: {
  readonly facts: Facts;
  readonly findings: readonly Finding[];
  readonly pipeline: AssessedPipeline;
  readonly mapping: MappingSummary;
  readonly read: ReadTables;
  readonly at: string;
  readonly database: string;
  readonly sampleRows: number | null;
  readonly rate: number | null;
  readonly mappedSeconds: number;
}): Report {
  const { facts, findings, pipeline, mapping, read } = options;
  const { server, tables, others } = facts;
  const provider = toProvider(server.signs);
  return {
    verdict: toVerdict(findings),
    at: options.at,
    pipeline: pipeline.name,
    database: options.database,
    schema: pipeline.legacySchema,
    sampleRows: options.sampleRows,
    findings,
    sound: toSound(facts),
    server: {
      version: server.version,
      provider: provider.name,
      sign: provider.sign,
      role: server.role.name,
      databaseBytes: server.databaseBytes,
      wal: server.wal,
      transactions: server.transactions,
      prepared: server.prepared,
      otherSchemas: server.otherSchemas,
    },
    tables: tables.map((table) => toTableReport(table, pipeline, mapping, read)),
    others: others.map(({ name, rows, bytes }) => ({ table: name, rows, bytes })),
    merges: mapping.merges,
    tenants: mapping.tenants,
    load: toLoadEstimate(
      tables.map(({ name, rows }) => (read[name]?.isWhole ? read[name].rows : rows)),
      options.rate,
    ),
    mapped: { rows: mapping.tables.reduce((sum, { rows }) => sum + rows, 0), seconds: options.mappedSeconds },
  };
}

function toTableReport(
  table: TableFacts,
  { projections }: AssessedPipeline,
  mapping: MappingSummary,
  read: ReadTables,
): TableReport {
  const rows = read[table.name];
  const mapped = mapping.tables.find((of) => of.table === table.name);
  return {
    table: table.name,
    kind: table.kind,
    rows: rows?.isWhole ? rows.rows : table.rows,
    bytes: table.bytes,
    partitions: table.partitions,
    key: table.primaryKey,
    keyCandidates: table.primaryKey.length > 0 ? [] : table.candidates.map(({ index }) => index),
    replicaIdentity: IDENTITIES[table.identity] ?? table.identity,
    marks: toMarks(table),
    columns: table.columns.map((column) => ({ name: column.name, type: column.type, ...toColumnForm(column) })),
    projections: projections.filter(({ source }) => source === table.name).map(({ name }) => name),
    read:
      rows === undefined
        ? null
        : {
            rows: rows.rows,
            isWhole: rows.isWhole,
            standsFor: toStandsFor(rows, table.rows),
            rejectedRows: mapped?.rejectedRows ?? 0,
            rejects: mapped?.rejects ?? [],
            throws: mapped?.throws ?? [],
            targets: mapped?.targets ?? [],
            problem: rows.problem,
          },
  };
}

function toStandsFor({ rows, isWhole }: RowsRead, estimate: number | null): number | null {
  if (isWhole) return 1;
  return estimate === null || rows === 0 ? null : Math.max(1, estimate / rows);
}

function toMarks(table: TableFacts): string[] {
  return [
    ...(table.isUnlogged ? ['unlogged'] : []),
    ...(table.partitions > 0 ? [`${table.partitions} partitions`] : []),
    ...(table.isPartition ? ['partition'] : []),
    ...(table.inheritsFrom.length > 0 ? ['inherits'] : []),
    ...(table.inheritedBy.length > 0 ? ['inherited'] : []),
    ...(table.rowSecurity === 'none' ? [] : [`row-level security${table.rowSecurity === 'forced' ? ', forced' : ''}`]),
    ...(table.triggers.length > 0 ? [`${table.triggers.length} triggers`] : []),
    ...(table.hasRules ? ['rules'] : []),
  ];
}
