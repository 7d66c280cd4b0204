import type { Cell, LegacyRow } from '../../../../projectors/projection.ts';
import type { Rejects } from '../../../../projectors/values/rejects.ts';
import { toStatusText } from '../../../../projectors/values/text.ts';

const leadStatuses: ReadonlySet<string> = new Set([
  'new',
  'contacted',
  'qualified',
  'nurturing',
  'proposal',
  'won',
  'converted',
  'lost',
  'unqualified',
]);

/** The row's lead status as status text; an unknown one is rejected. `column`: its source. */
export function toLeadStatus(row: LegacyRow, rejects: Rejects, column = 'lead_status'): Cell {
  const status = toStatusText(row[column]);
  return status === null || leadStatuses.has(status)
    ? status
    : rejects.add(column, row[column] ?? '', 'unknown lead status');
}

/** The row's score; a score outside 0 to 100 is rejected. `column`: its source. */
export function toLeadScore(row: LegacyRow, rejects: Rejects, column = 'lead_score'): Cell {
  const cell = row[column] ?? null;
  if (cell === null) return null;
  const score = Number(cell);
  return score >= 0 && score <= 100 ? cell : rejects.add(column, cell, 'out of range 0 to 100');
}
