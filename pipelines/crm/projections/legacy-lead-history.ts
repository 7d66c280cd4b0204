import { defineHistory } from '../../../projectors/projection.ts';
import type { TenantSettings } from '../tenants.ts';
import { rowsOf, targets } from './lead-history.ts';
import { toConversion, toLeadId } from './leads/lead-fold.ts';
import { leads } from './leads.ts';

/** leads → lead_audit_log, lead_status_history, lead_score_history: history of legacy leads from their own rows. */
export const leadHistory = defineHistory<TenantSettings>({
  name: 'lead_history',
  version: '1',
  source: 'leads',
  requires: leads.requires,
  reads: leads.reads,
  history: {
    targets,
    scope: { column: 'lead_id', of: toLeadId },
    rowsOf,
    stateOf: (row, tenants) => {
      const { data, mergeKey } = leads.map(row, tenants).contributions[0]!;
      const { client_id: _, ...lead } = data;
      // The conversion date comes from the client, or changes with every write.
      const { conversion_date: __, ...conversion } = toConversion(data, []);
      return { ...lead, id: mergeKey, ...conversion };
    },
  },
});
