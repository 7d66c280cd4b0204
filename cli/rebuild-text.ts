import type { RebuildResult } from '../projectors/rebuild/rebuild.ts';
import {
  countDifferences,
  type Difference,
  type Failure,
  type Report,
  type TableReport,
} from '../projectors/rebuild/report.ts';
import { toCountText, toDurationText, toTableLines } from './quantity-text.ts';

const HEAD = ['table', 'rows', 'after', 'added', 'changed', 'removed'];

/** Report of what a rebuild would change. `limit`: most differences listed individually. */
export function toReportLines(report: Report, options: { readonly limit: number; readonly unmask: boolean }): string[] {
  const lines: string[] = [];
  for (const { projection, tables } of report.projections) {
    lines.push(
      ...(lines.length === 0 ? [] : ['']),
      projection,
      ...indented(toTableLines([HEAD, ...tables.map(toCells)], [1, 2, 3, 4, 5])),
      ...indented(tables.flatMap(toDetailLines)),
    );
  }
  const { deadLetters, waiting } = report;
  if (deadLetters.before + deadLetters.after + waiting.before + waiting.after > 0) {
    const change = ({ before, after }: { before: number; after: number }) =>
      before === after ? toCountText(before) : `${toCountText(before)} → ${toCountText(after)}`;
    lines.push('', `open dead letters: ${change(deadLetters)}, waiting changes: ${change(waiting)}`);
  }
  return [...lines, ...toDifferenceLines(report, options), ...toFailureLines(report.failures)];
}

const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

function toCells({ table, before, after, added, changed, removed }: TableReport): string[] {
  return [table, ...[before, after, added, changed, removed].map(toCountText)];
}

/** Changed columns and sums, and rows that conflict with rows of the application. */
function toDetailLines({ table, columns, sums, ofApplication }: TableReport): string[] {
  const changed = Object.entries(columns).toSorted(([, a], [, b]) => b - a);
  const moved = Object.entries(sums).filter(([, { before, after }]) => before !== after);
  return [
    ...(changed.length === 0
      ? []
      : [`${table}: ${changed.map(([column, rows]) => `${column} changes in ${toCountText(rows)}`).join(', ')}`]),
    ...moved.map(([column, { before, after }]) => `sum of ${table}.${column}: ${before} → ${after}`),
    ...(ofApplication === 0
      ? []
      : [`${toCountText(ofApplication)} rows of ${table} are left out: the application has rows of the same id`]),
  ];
}

function toDifferenceLines(report: Report, { limit, unmask }: { limit: number; unmask: boolean }): string[] {
  const shown = (unmask ? report : masked(report)).differences.slice(0, limit);
  if (shown.length === 0) return [];
  return [
    '',
    'first differences:',
    ...shown.map(({ table, id, legacyKey, kind, column, before, after }) => {
      const what = kind === 'change' ? `${column}: ${before ?? 'null'} → ${after ?? 'null'}` : kind;
      return `  ${table} ${id}${legacyKey === null ? '' : ` (legacy ${legacyKey})`} ${what}`;
    }),
  ];
}

const said: Readonly<Record<Failure['kind'], string>> = {
  stale: 'of rows that are not replayed came since this began (drop it with --discard, and begin anew)',
  failed: 'cannot be applied',
  waiting: 'wait for a row or a value that has not come',
  conflict: 'want a unique value that another row keeps',
  refused: 'the live tables refuse it',
};

/** Reasons that prevent a merge. */
export function toFailureLines(failures: readonly Failure[]): string[] {
  if (failures.length === 0) return [];
  return [
    '',
    'this cannot be merged:',
    ...failures.map(({ projection, kind, reason, count, legacyKeys }) => {
      const some =
        legacyKeys.length === 0 ? '' : ` (legacy ${legacyKeys.join(', ')}${count > legacyKeys.length ? ', …' : ''})`;
      return kind === 'refused'
        ? `  ${said[kind]}: ${reason}`
        : `  ${projection}: ${toCountText(count)} changes ${said[kind]}: ${reason}${some}`;
    }),
  ];
}

/** A report with the lengths of values in place of values. */
export function masked(report: Report): Report {
  const hide = (value: string | null) => (value === null ? null : `(${value.length} characters)`);
  const differences = report.differences.map(
    (each): Difference => ({ ...each, before: hide(each.before), after: hide(each.after) }),
  );
  return { ...report, differences };
}

/** The state of projectors is merged, too, but its rows are not of interest to operators. */
const stateTables = new Set(['contribution', 'history_state']);

/** Result of a rebuild, and the next steps. */
export function toResultLines(result: RebuildResult, command: string): string[] {
  const { state, name, report, merged, paused } = result;
  const stood = (ms: number) =>
    `The live projectors stood still for ${ms < 1000 ? `${Math.round(ms)} ms` : toDurationText(ms / 1000)}.`;
  const next = `look at the tables of crosswalk_shadow_${name}, go on with \`${command} --resume\`, drop it with \`${command} --discard\``;
  switch (state) {
    case 'paused':
      return [`paused: ${command} --resume goes on, --discard drops it`];
    case 'equal':
      return [`nothing differs. ${stood(paused.compareMs)}`];
    case 'previewed': {
      const count = report === null ? 0 : countDifferences(report);
      return [`${count === 0 ? 'nothing differs' : 'nothing was changed, as asked'}. ${stood(paused.compareMs)}`];
    }
    case 'kept':
      return [`nothing was changed: ${next}`];
    case 'refused':
      return [`NOT merged, nothing was changed: ${next}`];
    case 'merged': {
      const tables = Object.entries(merged ?? {}).flatMap(([table, counts]) =>
        stateTables.has(table) ? [] : [counts],
      );
      const sum = (of: 'added' | 'changed' | 'removed') => tables.reduce((total, table) => total + table[of], 0);
      const rows = `${toCountText(sum('added'))} rows added, ${toCountText(sum('changed'))} changed, ${toCountText(sum('removed'))} removed`;
      return [
        merged === null
          ? 'merged already: the shadow is dropped'
          : `merged: ${rows}. ${stood(paused.compareMs + paused.mergeMs)}`,
      ];
    }
  }
}
