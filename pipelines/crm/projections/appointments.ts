import { defineProjection } from '../../../projectors/projection.ts';
import { activityTarget, toActivity } from './activities/lead-activity.ts';

const source = { table: 'appointments', type: 'appointment', at: 'starts_at', notes: 'notes' };
const requires = ['id', 'contact_id', 'workspace_id'];

/** appointments → lead_activities. */
export const appointments = defineProjection({
  name: 'appointments',
  version: '1',
  source: 'appointments',
  tenant: { column: 'workspace_id' },
  requires,
  reads: [...requires, 'title', 'starts_at', 'ends_at', 'location', 'status', 'notes', 'created_at', 'updated_at'],
  owned: [activityTarget(source)],
  aggregates: [],
  map: (row) => ({ rows: { lead_activities: [toActivity(row, source)] }, contributions: [] }),
});
