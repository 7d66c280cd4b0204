import { LEVELS } from '../../assess/judge.ts';
import type { Report, TableReport } from '../../assess/report.ts';
import { toCountText } from '../quantity-text.ts';
import { Html, html } from './html.ts';
import {
  LEVEL_TITLES,
  toBucketText,
  toCounts,
  toLoadText,
  toReadText,
  toRowsText,
  toSizeText,
  toWalText,
} from './text.ts';

const STYLE = new Html(`
:root { color-scheme: light dark; --ink: #1c2128; --dim: #57606a; --line: #d0d7de; --paper: #fff; --band: #f6f8fa; --blocked: #b42318; --work: #9a6700; --setup: #0969da; --note: #57606a; --ready: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --line: #3d444d; --paper: #0d1117; --band: #151b23; --blocked: #ff7b72; --work: #e3b341; --setup: #79c0ff; --note: #9198a1; --ready: #56d364; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .3rem 0; } .dim { color: var(--dim); } code, .mono { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
.verdict { display: inline-block; margin: .8rem 0; padding: .35rem .9rem; border: 2px solid currentColor; border-radius: .5rem; font-weight: 650; }
.blocked { color: var(--blocked); } .work { color: var(--work); } .setup { color: var(--setup); } .note { color: var(--note); } .ready { color: var(--ready); }
ul.findings { list-style: none; padding: 0; margin: 0; } ul.findings li { border-left: 4px solid currentColor; padding: .15rem .8rem; margin: .6rem 0; break-inside: avoid; }
ul.findings p { color: var(--ink); } ul.findings p.remedy { color: var(--dim); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; } th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { background: var(--band); font-weight: 600; } tr { break-inside: avoid; } .right { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
details { margin: .4rem 0; } summary { cursor: pointer; }
@media print { :root { color-scheme: light; --ink: #000; --dim: #444; --line: #bbb; --paper: #fff; --band: #eee; --blocked: #a00; --work: #850; --setup: #05a; --note: #444; --ready: #170; } body { max-width: none; padding: 0; font-size: 10pt; } h2 { break-after: avoid; } .scroll { overflow: visible; } }
`);

const CLASSES = { ready: 'ready', 'needs work': 'work', blocked: 'blocked' } as const;

/** The report as one self-contained page without scripts, fonts or links. Names from the database are always escaped as text. */
export function toPage(report: Report): string {
  const { server } = report;
  const rows = report.sampleRows === null ? 'every row' : `up to ${toCountText(report.sampleRows)} rows of each table`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>Assessment of ${report.database}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Assessment of ${report.database}</h1>
<p class="dim">Schema ${report.schema}, for pipeline ${report.pipeline}, at ${report.at}. PostgreSQL ${server.version}, ${server.sign === null ? 'no sign of a provider' : `${server.provider} (${server.sign})`}, as role ${server.role}; ${toSizeText(server.databaseBytes)}. Read only; the mapping was run over ${rows}.</p>
<p class="verdict ${CLASSES[report.verdict]}">${report.verdict}</p>
</header>
<main>
${toFindings(report)}
${report.sound.length === 0 ? NOTHING : html`<h2 class="ready">As it must be</h2>\n<ul>${report.sound.map((what) => html`<li>${what}</li>`)}</ul>`}
<h2>Load and log</h2>
${[...toLoadText(report), ...toWalText(report)].map((line) => html`<p>${line}</p>\n`)}
${toTables(report)}
${toRejects(report)}
${toMerges(report)}
${toTenants(report)}
${toColumns(report)}
${toOthers(report)}
</main>
</body>
</html>
`;
  return page.text;
}

const NOTHING = new Html('');

function toFindings({ findings }: Report): Html[] {
  return LEVELS.map((level) => {
    const found = findings.filter((finding) => finding.level === level);
    if (found.length === 0) return NOTHING;
    const items = found.map(
      ({ what, remedy }) => html`<li class="${level}"><p>${what}</p><p class="remedy">${remedy}</p></li>\n`,
    );
    return html`<h2 class="${level}">${LEVEL_TITLES[level]}</h2>\n<ul class="findings">\n${items}</ul>\n`;
  });
}

/** A table; `right`: indexes of numeric columns. */
function toTable(head: readonly string[], lines: readonly (readonly string[])[], right: readonly number[] = []): Html {
  const align = (at: number) => (right.includes(at) ? new Html(' class="right"') : NOTHING);
  const headers = head.map((cell, at) => html`<th${align(at)}>${cell}</th>`);
  const rows = lines.map((line) => html`<tr>${line.map((cell, at) => html`<td${align(at)}>${cell}</td>`)}</tr>\n`);
  return html`<div class="scroll"><table><thead><tr>${headers}</tr></thead><tbody>\n${rows}</tbody></table></div>\n`;
}

function toTables({ tables }: Report): Html {
  if (tables.length === 0) return NOTHING;
  const marks = (table: TableReport) => [...(table.kind === 'table' ? [] : [table.kind]), ...table.marks].join(', ');
  return html`<h2>Tables of the pipeline</h2>
${toTable(
  ['table', 'rows', 'size', 'key', 'replica identity', 'read by', 'rows read', ''],
  tables.map((table) => [
    table.table,
    toRowsText(table.rows),
    toSizeText(table.bytes),
    table.key.length > 0 ? table.key.join(', ') : 'none',
    table.replicaIdentity,
    table.projections.join(', '),
    toReadText(table),
    marks(table),
  ]),
  [1, 2],
)}`;
}

function toRejects({ tables }: Report): Html {
  const throws = tables.flatMap((table) =>
    (table.read?.throws ?? []).map(({ projection, reason, count }) => [
      ...[table.table, projection, reason],
      ...toCounts(count, table),
    ]),
  );
  const rejects = tables.flatMap((table) =>
    (table.read?.rejects ?? []).map(({ path, reason, count }) => [
      table.table,
      path,
      reason,
      ...toCounts(count, table),
    ]),
  );
  const targets = tables.flatMap((table) =>
    (table.read?.targets ?? []).map((target) => [table.table, target.table, ...toCounts(target.rows, table)]),
  );
  const section = (title: string, names: readonly string[], lines: readonly (readonly string[])[]) =>
    lines.length === 0
      ? NOTHING
      : html`<h2>${title}</h2>\n${toTable([...names, 'read', 'in all'], lines, [names.length, names.length + 1])}`;
  return html`${section('Rows that cannot be mapped', ['table', 'projection', 'reason'], throws)}
${section('Values without a valid form', ['table', 'where', 'reason'], rejects)}
${section('Rows of new tables', ['legacy table', 'new table'], targets)}`;
}

function toMerges({ merges, sampleRows }: Report): Html[] {
  return merges.map(({ aggregate, tables, contributions, keys, isExact, buckets, largest }) => {
    const about = isExact ? '' : 'about ';
    return html`<h2>Merged rows of ${aggregate}</h2>
<p>${toCountText(contributions)} contributions of ${tables.join(', ')} to ${about}${toCountText(keys)} merged rows${sampleRows === null ? '' : ', among the rows that were read'}.</p>
${toTable(
  ['legacy rows of one', 'merged rows'],
  buckets.filter((bucket) => bucket.keys > 0).map((bucket) => [toBucketText(bucket), toCountText(bucket.keys)]),
  [1],
)}
${
  largest.length === 0
    ? NOTHING
    : html`<h3>The largest</h3>
<p class="dim">By what their key looks like: # a UUID, a letters, 9 digits. Where strangers meet under a placeholder, it is here.</p>
${toTable(
  ['key', 'legacy rows'],
  largest.map((merge) => [merge.shape, `${isExact ? '' : 'at least '}${toCountText(merge.contributions)}`]),
  [1],
)}`
}`;
  });
}

function toTenants({ tenants }: Report): Html {
  const { count, unassignedRows, largest, isExact } = tenants;
  if (count + unassignedRows === 0) return NOTHING;
  return html`<h2>Tenants</h2>
<p>${isExact ? '' : 'At least '}${toCountText(count)} seen${count > largest.length ? `, here the largest ${largest.length}` : ''}; rows that name none: ${toCountText(unassignedRows)}.</p>
${toTable(
  ['tenant', 'rows read'],
  largest.map(({ tenant, rows }) => [tenant, toCountText(rows)]),
  [1],
)}`;
}

function toColumns({ tables }: Report): Html {
  const parts = tables.map(({ table, columns }) => {
    const odd = columns.filter(({ remark }) => remark !== null).length;
    return html`<details><summary>${table}: ${columns.length} columns${odd === 0 ? '' : `, ${odd} to look at`}</summary>
${toTable(
  ['column', 'type', 'form in the log', ''],
  columns.map(({ name, type, form, remark }) => [name, type, form, remark ?? '']),
)}</details>\n`;
  });
  return parts.length === 0 ? NOTHING : html`<h2>Columns and their form in the log</h2>\n${parts}`;
}

function toOthers({ others, server }: Report): Html {
  const schemas =
    server.otherSchemas.length === 0
      ? NOTHING
      : html`<p>Other schemas with tables: ${server.otherSchemas.join(', ')}</p>\n`;
  const tables =
    others.length === 0
      ? NOTHING
      : html`<h2>Tables that the pipeline leaves out</h2>\n${toTable(
          ['table', 'rows', 'size'],
          others.map(({ table, rows, bytes }) => [table, toRowsText(rows), toSizeText(bytes)]),
          [1, 2],
        )}`;
  return html`${tables}${schemas}`;
}
