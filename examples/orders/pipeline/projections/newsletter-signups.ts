import { cellOf, defineProjection, filledCellOf, Rejects, rejectsTarget, toTenantId } from 'crosswalk';
import { toEmail } from '../values/email.ts';
import { buyersAggregate, toBuyer } from './buyers.ts';

/** newsletter_signups → buyers, rejects. */
export const newsletterSignups = defineProjection({
  name: 'newsletter_signups',
  version: '1',
  source: 'newsletter_signups',
  tenant: { column: 'shop_id' },
  requires: ['id', 'shop_id', 'email', 'confirmed'],
  reads: ['id', 'shop_id', 'email', 'name', 'confirmed', 'created_at', 'updated_at'],
  owned: [rejectsTarget],
  aggregates: [buyersAggregate],
  map: (row) => {
    const tenantId = toTenantId(row.shop_id);
    const rejects = new Rejects('newsletter_signups', row.id ?? '', tenantId);
    const email = toEmail(row.email);
    if (email === null) rejects.add('email', row.email ?? '', 'not an e-mail address');
    const said = { name: filledCellOf(row, 'name'), subscribed: cellOf(row, 'confirmed') };
    const seen = { created_at: cellOf(row, 'created_at'), updated_at: cellOf(row, 'updated_at') };
    return {
      rows: { rejects: rejects.rows },
      contributions: email === null ? [] : [toBuyer(tenantId, email, { ...said, ...seen })],
    };
  },
});
