import type {
  Chain,
  Effect,
  ExplainedColumn,
  LegacyExplanation,
  LoggedEvent,
  MergedOrigin,
  RowExplanation,
  RowName,
} from '../projectors/explain/explanation.ts';
import type { Origin, Source } from '../projectors/explain/provenance.ts';
import { toCountText, toTableLines } from './quantity-text.ts';

const MOST_NAMES = 6;

/** Output of `explain <table> <id>`. */
export function toRowLines(
  found: RowExplanation,
  { unmask, targetSchema }: { unmask: boolean; targetSchema: string },
): string[] {
  const { row, projection, writtenBy } = found;
  const lines = [`${targetSchema}.${found.table} ${found.id}: ${row === null ? 'not found' : toStateText(row)}`];
  if (row !== null && projection !== null) {
    const of = projection.role === 'merged' ? 'merged by' : projection.role === 'history' ? 'added by' : 'made by';
    lines.push(
      ...indent(
        toTableLines([
          ['legacy row', `${row.legacyTable} ${row.legacyKey}`],
          [of, `projection ${projection.name}, mapping version ${row.mappingVersion}`],
          [
            row.state === 'live' ? 'written by' : 'deleted by',
            writtenBy === null
              ? `LSN ${row.lsn}, xid ${row.xid}, ${row.committedAt}: not found in the log`
              : `${toOpText(writtenBy)}${toOfText(writtenBy, row)} at ${writtenBy.committedAt}, LSN ${writtenBy.lsn}, xid ${writtenBy.xid}, ${toPlace(writtenBy)}`,
          ],
          ...(writtenBy === null ? [] : [['', toChangeText(writtenBy)]]),
          ...(found.movedTo === null ? [] : [['', `its legacy row's key was changed to ${found.movedTo}`]]),
        ]),
      ),
    );
  }
  if (found.columns.length > 0) {
    lines.push('', 'columns', ...indent(toTableLines(found.columns.map((column) => toColumnCells(column, unmask)))));
  }
  if (found.existence.length > 0) lines.push(`  The row is there because of ${toList(found.existence)}.`);
  if (found.contributors.length > 0) lines.push('', ...toContributorLines(found));
  for (const chain of found.chains) lines.push('', ...toChainLines(chain, unmask));
  return [...lines, ...toRemarks(found)];
}

/** Output of `explain --legacy <table> <key>`. */
export function toLegacyLines(
  found: LegacyExplanation,
  { unmask, targetSchema }: { unmask: boolean; targetSchema: string },
): string[] {
  const lines = [`legacy ${found.table} ${found.key}`];
  const section = (title: string, rows: readonly (readonly string[])[]) => {
    if (rows.length > 0) lines.push('', title, ...indent(toTableLines(rows)));
  };
  section(
    'rows',
    found.rows.map((row) => toRowCells(row, targetSchema)),
  );
  section(
    'contributions',
    found.contributions.flatMap(({ aggregate, mergeKey, live, movedTo, lsn, xid, committedAt, rows }) => [
      [
        `${aggregate} ${mergeKey}`,
        live ? 'live' : movedTo === null ? 'retired' : `retired, moved to ${movedTo}`,
        `LSN ${lsn}`,
        `xid ${xid}`,
        committedAt,
      ],
      ...rows.map((row) => [`  in ${targetSchema}.${row.table} ${row.id}`, toStateText(row)]),
    ]),
  );
  section(
    'rejects',
    found.rejects.map(({ id, path, reason, lsn, committedAt }) => [id, path, reason, `LSN ${lsn}`, committedAt]),
  );
  section(
    'waiting, failed',
    found.held.map(({ kind, projection, topic, partition, offset, lsn, reason, resolution }) => [
      kind,
      partition === null ? topic : `${projection}:${topic}/${partition}@${offset}`,
      `LSN ${lsn}`,
      reason,
      resolution ?? 'open',
    ]),
  );
  if (found.chain !== null) lines.push('', ...toChainLines(found.chain, unmask));
  if (found.movedFrom !== null) lines.push(`  Before its first event its key was ${found.movedFrom}.`);
  if (found.movedTo !== null) lines.push(`  With its last event its key was changed to ${found.movedTo}.`);
  return [...lines, ...toRemarks(found)];
}

function toRemarks({ log, problems, notes }: RowExplanation | LegacyExplanation): string[] {
  const through = log?.through == null ? [] : [`The log was read as of LSN ${log.through}.`];
  const said = [...notes.map((note) => `note: ${note}`), ...problems.map((problem) => `PROBLEM: ${problem}`)];
  return [...(through.length + said.length > 0 ? [''] : []), ...through, ...said];
}

function toStateText({ state, deletedAt, origin }: RowName): string {
  const by = origin === 'app' ? ', of the new application (origin app)' : '';
  return state === 'live' ? `live${by}` : `soft-deleted at ${deletedAt}${by}`;
}

function toRowCells(row: RowName, targetSchema: string): string[] {
  const { table, id, lsn, xid, committedAt, mappingVersion } = row;
  return [
    `${targetSchema}.${table}`,
    id,
    toStateText(row),
    ...(row.origin === 'app' ? [] : [`LSN ${lsn}`, `xid ${xid}`, committedAt, `mapping ${mappingVersion}`]),
  ];
}

function toOpText({ op, repair }: Pick<LoggedEvent, 'op' | 'repair'>): string {
  const text = { c: 'insert', u: 'update', d: 'delete', r: 'snapshot read' }[op];
  return repair === null ? text : `${text} (repair)`;
}

function toOfText({ legacyTable, legacyKey }: { legacyTable: string; legacyKey: string }, row: RowName): string {
  return legacyKey === row.legacyKey ? '' : ` of ${legacyTable} ${legacyKey}`;
}

function toPlace({ topic, partition, offset }: LoggedEvent): string {
  return `${topic}/${partition}@${offset}`;
}

/** A list of names, truncated if there are many. */
function toList(names: readonly string[], most = MOST_NAMES): string {
  return names.length <= most
    ? names.join(', ')
    : `${names.slice(0, most).join(', ')} and ${toCountText(names.length - most)} more`;
}

/** A null cell that no contributor would fill comes from none of them. */
function isOfNobody(value: string | null, origin: MergedOrigin): boolean {
  return value === null && origin.kind === 'copied';
}

function toColumnCells({ column, value, origin }: ExplainedColumn, unmask: boolean): string[] {
  const shown = value === null ? 'null' : unmask ? JSON.stringify(value) : value;
  if (origin === null) return [column, shown, ''];
  if ('from' in origin) return [column, shown, toOriginText(origin)];
  return [column, shown, isOfNobody(value, origin) ? 'no contributor has one' : toMergedOriginText(origin)];
}

function toSourceText({ column, path = [] }: Source): string {
  return column + path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
}

function toOriginText({ kind, from, settings }: Origin): string {
  const names = [...new Set(from.map(toSourceText))];
  const ofTenant = settings.length === 0 ? [] : [`the tenant's ${settings.join(', ')}`];
  if (kind === 'constant') return 'constant';
  if (kind === 'configured') return `pinned configuration: ${ofTenant}`;
  return `${kind} from ${[toList(names), ...ofTenant].join(' and ')}`;
}

function toMergedOriginText({ kind, contributors, more }: MergedOrigin): string {
  if (kind === 'key') return 'the merge key';
  if (kind === 'constant') return 'the same whatever one contributor says';
  const [first] = contributors;
  if (kind === 'copied' && first !== undefined) {
    const legacy = first.legacy === null ? first.column : `${first.column}, ${toOriginText(first.legacy)}`;
    const alike = contributors.length + more - 1;
    return `copied from ${first.legacyTable} ${first.legacyKey} (${legacy})${alike > 0 ? ` and ${toCountText(alike)} alike` : ''}`;
  }
  const names = contributors.map(
    ({ legacyTable, legacyKey, column }) => `${legacyTable} ${legacyKey}${column === null ? '' : ` (${column})`}`,
  );
  return `computed from ${toList(names)}${more > 0 ? ` and ${toCountText(more)} more` : ''}`;
}

function toContributorLines({ contributors, contributorCount }: RowExplanation): string[] {
  const rows = contributors.map(({ legacyTable, legacyKey, live, movedTo, isGreatest, gives, lsn, committedAt }) => [
    `${legacyTable} ${legacyKey}`,
    live ? (isGreatest ? 'live, greatest' : 'live') : isGreatest ? 'retired, greatest' : 'retired',
    movedTo === null
      ? live
        ? ''
        : 'its legacy row was deleted or contributes nothing'
      : `moved to ${movedTo.mergeKey} (${movedTo.state})`,
    `LSN ${lsn}`,
    committedAt,
    gives.length === 0 ? '' : `gives ${toList(gives)}`,
  ]);
  const rest = contributorCount - contributors.length;
  return [
    `contributors: ${toCountText(contributorCount)}`,
    ...indent(toTableLines(rows)),
    ...(rest > 0 ? [`  … and ${toCountText(rest)} more: --full`] : []),
  ];
}

function toChainLines(chain: Chain, unmask: boolean): string[] {
  const { table, key, topic, partition, from, to, isWhole, count, omitted, events } = chain;
  const what = `${toCountText(count)} event${count === 1 ? '' : 's'} in ${topic}/${partition}, offsets ${from} to ${to}`;
  const lines = [`legacy ${table} ${key}: ${what}${isWhole ? '' : ', not from the beginning'}`];
  const cells = toTableLines(
    events.map((event) => [
      event.committedAt,
      toOpText(event),
      `LSN ${event.lsn}`,
      `xid ${event.xid}`,
      toPlace(event),
      event.progress === 'applied' ? '' : event.progress.toUpperCase(),
      toChangeText(event),
    ]),
  );
  for (const [index, line] of cells.entries()) {
    if (index === 1 && omitted > 0)
      lines.push(`  … ${toCountText(omitted)} events between: --limit and --since show others`);
    lines.push(`  ${line}`);
    const { changed, unseen } = events[index]!;
    if (unmask) {
      for (const { column, before, after } of changed)
        lines.push(`      ${column}: ${toValueText(before)} → ${toValueText(after)}`);
    }
    if (unseen.length > 0) {
      lines.push(`      Since the event before it ${toList(unseen)} had changed without an event.`);
    }
  }
  return lines;
}

function toValueText(value: string | null): string {
  return value === null ? 'null' : JSON.stringify(value);
}

function toChangeText({ op, changed, effects }: LoggedEvent): string {
  const names = changed.map(({ column }) => column);
  const legacy =
    op === 'u' || (op === 'r' && names.length < MOST_NAMES)
      ? toList(names)
      : `${toCountText(names.length)} column${names.length === 1 ? '' : 's'}`;
  return `${legacy || 'nothing'} → ${effects.length === 0 ? 'nothing' : effects.map(toEffectText).join('; ')}`;
}

function toEffectText({ what, kind, rows, columns }: Effect): string {
  if (kind === 'fails') return 'the mapping throws';
  const count = rows === 1 ? '' : `${toCountText(rows)} × `;
  return `${count}${what} ${kind}${columns.length === 0 ? '' : `: ${toList(columns)}`}`;
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
