import { type Finding, LEVELS, type Level } from '../../assess/judge.ts';
import type { Report, TableReport } from '../../assess/report.ts';
import { toBytesText, toCountText, toDurationText, toTableLines } from '../quantity-text.ts';

export const LEVEL_TITLES: Readonly<Record<Level, string>> = {
  blocked: 'Blocked: somebody must decide',
  work: 'Needs work on the legacy side',
  setup: 'Steps of setting up',
  note: 'Worth knowing',
};

/** Output of `assess`. Names come from a foreign database, so control characters that a terminal would interpret are removed. */
export function toLines(report: Report): string[] {
  return [
    ...headLines(report),
    ...LEVELS.flatMap((level) => findingLines(level, report.findings)),
    ...(report.sound.length === 0 ? [] : ['', 'As it must be', ...report.sound.map((what) => `  ${what}`)]),
    ...tableLines(report),
    ...oddColumnLines(report),
    ...rowLines(report),
    ...mergeLines(report),
    ...tenantLines(report),
    ...otherLines(report),
    '',
    ...loadLines(report),
    ...walLines(report),
    '',
    report.verdict,
  ].map(toPrintable);
}

/** Replaces control characters and characters that change the writing direction. */
export function toPrintable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?');
}

/** Describes how many rows were read, of how many. */
export function toReadText({ read, rows }: TableReport): string {
  if (read === null) return '';
  if (read.isWhole) return `all ${toCountText(read.rows)}`;
  return rows === null || rows <= read.rows
    ? `${toCountText(read.rows)}`
    : `${toCountText(read.rows)} of about ${toCountText(rows)}`;
}

export function toRowsText(rows: number | null): string {
  return rows === null ? '?' : toCountText(rows);
}

export function toSizeText(bytes: number | null): string {
  return bytes === null ? '' : toBytesText(BigInt(Math.round(bytes)));
}

/** The basis of the load estimate, as sentences. */
export function toLoadText({ load, mapped }: Report): string[] {
  const rows = `${toCountText(load.rows)} rows${load.isWhole ? '' : ' and those of tables that nobody has analysed'}`;
  const own =
    mapped.rows > 0 && mapped.seconds > 0
      ? [
          `Reading and mapping alone: ${toCountText(mapped.rows)} rows in ${toDurationText(mapped.seconds)}, here and now; no load is quicker than that.`,
        ]
      : [];
  return [
    `Initial load: about ${toDurationText(load.seconds)} for ${rows} at ${toCountText(load.rowsPerSecond)} a second: ${load.restsOn}.`,
    ...own,
  ];
}

/** The growth rate of the WAL, as sentences. */
export function toWalText({ server: { wal } }: Report): string[] {
  if (wal === null) return ['Growth of the write-ahead log: not known.'];
  const rate = (bytes: number | null) => (bytes === null ? 'not known' : `${toSizeText(bytes)}/s`);
  const since =
    wal.averageBytesPerSecond === null
      ? ''
      : `; ${rate(wal.averageBytesPerSecond)} on average over the last ${toDurationText(wal.averageSeconds ?? 0)}`;
  return [
    `Growth of the write-ahead log: ${rate(wal.bytesPerSecond)} over ${wal.seconds.toFixed(1)} s now${since}.`,
    wal.slotLimitBytes === null
      ? 'A slot may hold back as much as the disk takes (max_slot_wal_keep_size).'
      : `A slot may hold back ${toSizeText(wal.slotLimitBytes)} (max_slot_wal_keep_size).`,
  ];
}

function headLines({ database, schema, pipeline, server, sampleRows }: Report): string[] {
  const provider = server.sign === null ? 'no sign of a provider' : `${server.provider} (${server.sign})`;
  const rows = sampleRows === null ? 'every row' : `up to ${toCountText(sampleRows)} rows of each table`;
  return [
    `${database}, schema ${schema}, for pipeline ${pipeline}`,
    `PostgreSQL ${server.version}, ${provider}, as role ${server.role}; ${toSizeText(server.databaseBytes)}`,
    `Read only; the mapping was run over ${rows}.`,
  ];
}

function findingLines(level: Level, findings: readonly Finding[]): string[] {
  const found = findings.filter((finding) => finding.level === level);
  if (found.length === 0) return [];
  return [
    '',
    LEVEL_TITLES[level],
    ...found.flatMap(({ what, remedy }) => [`  ${what.replace(/\.?$/, '')}`, `      ${remedy}`]),
  ];
}

function tableLines({ tables }: Report): string[] {
  if (tables.length === 0) return [];
  const head = ['table', 'rows', 'size', 'key', 'identity', 'rows read', ''];
  return [
    '',
    'Tables of the pipeline',
    ...toTableLines(
      [
        head,
        ...tables.map((table) => [
          table.table,
          toRowsText(table.rows),
          toSizeText(table.bytes),
          table.key.length > 0 ? table.key.join(', ') : '(none)',
          table.replicaIdentity,
          toReadText(table),
          [...(table.kind === 'table' ? [] : [table.kind]), ...table.marks].join(', '),
        ]),
      ],
      [1, 2],
    ).map((line) => `  ${line}`),
  ];
}

function oddColumnLines({ tables }: Report): string[] {
  const odd = tables.flatMap(({ table, columns }) =>
    columns.flatMap(({ name, type, form, remark }) =>
      remark === null ? [] : [[`${table}.${name}`, type, form, remark]],
    ),
  );
  if (odd.length === 0) return [];
  return ['', 'Columns whose form in the log surprises', ...toTableLines(odd).map((line) => `  ${line}`)];
}

/** A count among the rows read, and its extrapolation to the whole table. */
export function toCounts(count: number, { read }: TableReport): [string, string] {
  const factor = read?.standsFor ?? null;
  return [
    toCountText(count),
    factor === null ? '?' : factor === 1 ? toCountText(count) : `≈ ${toCountText(count * factor)}`,
  ];
}

function rowLines({ tables }: Report): string[] {
  const rejects = tables.flatMap((table) =>
    (table.read?.rejects ?? []).map(({ path, reason, count }) => [
      ...toCounts(count, table),
      table.table,
      path,
      reason,
    ]),
  );
  const throws = tables.flatMap((table) =>
    (table.read?.throws ?? []).map(({ projection, reason, count }) => [
      ...toCounts(count, table),
      ...[table.table, projection, reason],
    ]),
  );
  const targets = tables.flatMap((table) =>
    (table.read?.targets ?? []).map((target) => [...toCounts(target.rows, table), table.table, target.table]),
  );
  const section = (title: string, names: readonly string[], lines: readonly (readonly string[])[]) =>
    lines.length === 0
      ? []
      : ['', title, ...toTableLines([['read', 'in all', ...names], ...lines], [0, 1]).map((line) => `  ${line}`)];
  return [
    ...section('Rows that cannot be mapped', ['table', 'projection', 'reason'], throws),
    ...section('Values without a valid form', ['table', 'where', 'reason'], rejects),
    ...section('Rows of new tables', ['legacy table', 'new table'], targets),
  ];
}

function mergeLines({ merges, sampleRows }: Report): string[] {
  const note = sampleRows === null ? '' : ', among the rows that were read (all of them: --full)';
  return merges.flatMap(({ aggregate, contributions, keys, isExact, buckets, largest, tables }) => [
    '',
    `Merged rows of ${aggregate}, from ${tables.join(', ')}${note}`,
    `  ${toCountText(contributions)} contributions to ${isExact ? '' : 'about '}${toCountText(keys)} merged rows`,
    ...toTableLines(
      buckets
        .filter((bucket) => bucket.keys > 0)
        .map((bucket) => [toCountText(bucket.keys), `of ${toBucketText(bucket)}`]),
      [0],
    ).map((line) => `  ${line}`),
    ...(largest.length === 0 ? [] : [`  the largest, by what their key looks like (# a UUID, a letters, 9 digits)`]),
    ...toTableLines(
      largest.map((merge) => [`${isExact ? '' : '≥ '}${toCountText(merge.contributions)}`, merge.shape]),
      [0],
    ).map((line) => `    ${line}`),
  ]);
}

/** `1`, `2 to 10`, `more than 10,000`. */
export function toBucketText({ least, most }: { readonly least: number; readonly most: number | null }): string {
  if (most === null) return `more than ${toCountText(least - 1)}`;
  return least === most ? toCountText(least) : `${toCountText(least)} to ${toCountText(most)}`;
}

function tenantLines({ tenants }: Report): string[] {
  const { count, unassignedRows, largest, isExact } = tenants;
  if (count + unassignedRows === 0) return [];
  const more = count > largest.length ? `, the largest ${largest.length}` : '';
  return [
    '',
    `Tenants seen: ${isExact ? '' : 'at least '}${toCountText(count)}${more}; rows that name none: ${toCountText(unassignedRows)}`,
    ...toTableLines(
      largest.map(({ tenant, rows }) => [toCountText(rows), tenant]),
      [0],
    ).map((line) => `  ${line}`),
  ];
}

function otherLines({ others, server }: Report): string[] {
  const shown = others.slice(0, 20);
  const lines = shown.map(({ table, rows, bytes }) => [table, toRowsText(rows), toSizeText(bytes)]);
  const more = others.length > shown.length ? [`  … and ${others.length - shown.length} more`] : [];
  return [
    ...(others.length === 0
      ? []
      : [
          '',
          'Tables that the pipeline leaves out',
          ...toTableLines(lines, [1, 2]).map((line) => `  ${line}`),
          ...more,
        ]),
    ...(server.otherSchemas.length === 0 ? [] : ['', `Other schemas with tables: ${server.otherSchemas.join(', ')}`]),
  ];
}

function loadLines(report: Report): string[] {
  return toLoadText(report);
}

function walLines(report: Report): string[] {
  return toWalText(report);
}
