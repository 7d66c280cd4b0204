import { definePipeline, loadProjections } from 'crosswalk';
import { checks } from './checks.ts';
import { oracle } from './oracle/oracle.ts';
import { stages } from './stages.ts';
import { parseTenants, type ShopSettings } from './tenants.ts';

/** From orders of several shops, each under its own numbers, to the schema of one new application. A shop is a tenant. */
export default definePipeline<ShopSettings>({
  name: 'orders',
  folder: import.meta.dirname,
  targetSchema: 'shop',
  sources: ['shops', 'orders', 'order_lines', 'newsletter_signups'],
  projections: await loadProjections<ShopSettings>(import.meta.dirname, 'projections'),
  migrations: 'migrations',
  tenants: {
    file: 'tenants.json',
    parse: parseTenants,
    others: { currency: ['EUR', 'USD'] },
    table: 'shops',
  },
  rejects: 'rejects',
  checks,
  oracle,
  stages,
});
