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

/** The row's lead status as status text; an unknown one is rejected. */
export function toLeadStatus(row: LegacyRow, rejects: Rejects): Cell {
  const status = toStatusText(row.lead_status);
  return status === null || leadStatuses.has(status)
    ? status
    : rejects.add('lead_status', row.lead_status ?? '', 'unknown lead status');
}
