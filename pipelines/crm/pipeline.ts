import { loadProjections } from '../../projectors/load-projections.ts';
import { definePipeline } from '../../projectors/pipeline.ts';
import { checks } from './checks.ts';
import { oracle } from './oracle/oracle.ts';
import { findCountryDifferences } from './pinned-countries.ts';
import { plan } from './plan.ts';
import { smoke } from './smoke.ts';
import { stages } from './stages.ts';
import { createTenants, type TenantSettings } from './tenants.ts';

/** Migrates a CRM with one wide table for people, and one for quotes that are also leads, jobs and invoices. */
export default definePipeline<TenantSettings>({
  name: 'crm',
  folder: import.meta.dirname,
  targetSchema: 'crm',
  sources: [
    ...['workspaces', 'status_options', 'contacts', 'quotes', 'messages', 'appointments', 'opportunities', 'orders'],
    ...['campaigns', 'campaign_subscribers', 'clients', 'leads'],
  ],
  projections: await loadProjections<TenantSettings>(import.meta.dirname, 'projections'),
  migrations: 'migrations',
  tenants: {
    file: 'tenants.json',
    parse: createTenants,
    hints: findCountryDifferences,
    others: {
      country: ['DE', 'US', 'GB'],
      userId: ['1', '2'],
      chatbotId: ['1', '2'],
      placeholders: [{ mailboxes: new Set(), names: new Set() }],
    },
    column: 'workspace_id',
    table: 'tenants',
  },
  rejects: 'rejects',
  foldedRejects: ['order_rejects'],
  checks,
  sqlChecks: 'checks.sql',
  oracle,
  smoke,
  plan,
  stages,
  sample: async () => (await import('./sample/sample.ts')).sample,
  developmentData: async () => (await import('./development/development-data.ts')).developmentData,
});
