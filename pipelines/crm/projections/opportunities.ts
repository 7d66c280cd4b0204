import { defineProjection } from '../../../projectors/projection.ts';
import { toTenantId } from '../../../projectors/values/cell.ts';
import { Rejects, rejectsTarget, toFiniteNumber } from '../../../projectors/values/rejects.ts';
import { activityTarget, toActivity } from './activities/lead-activity.ts';

const source = { table: 'opportunities', type: 'opportunity', at: 'created_at' };
const requires = ['id', 'contact_id', 'workspace_id', 'amount'];
const numbers = ['amount', 'probability'];

/** opportunities → lead_activities, rejects. */
export const opportunities = defineProjection({
  name: 'opportunities',
  version: '1',
  source: 'opportunities',
  tenant: { column: 'workspace_id' },
  requires,
  reads: [...requires, 'name', 'stage', 'probability', 'close_date', 'created_at', 'updated_at'],
  owned: [activityTarget(source), rejectsTarget],
  aggregates: [],
  map: (row) => {
    const rejects = new Rejects('opportunities', row.id ?? '', toTenantId(row.workspace_id));
    const unfit = numbers.filter((column) => toFiniteNumber(row, column, rejects) === null);
    return {
      rows: { lead_activities: [toActivity(row, source, unfit)], rejects: rejects.rows },
      contributions: [],
    };
  },
});
