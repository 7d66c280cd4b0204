import type { Smoke } from '../../projectors/pipeline.ts';

/** Tenant, company and quote share one id: that of the test. */
const OF_TEST = 'WHERE id = ($1::text)::uuid';
const TOTAL = '120.50';
const update = (set: string) => [`UPDATE quotes SET ${set}, updated_at = now() ${OF_TEST}`];
const quote = (condition: string) =>
  `SELECT FROM quotes_new q WHERE q.tenant_id = $1::text AND q.deleted_at IS NULL AND ${condition}`;

/** From a lead to a paid invoice. The person has no phone number, and an address in a domain that does not exist, so that no message reaches anybody. */
export const smoke: Smoke = {
  steps: [
    {
      name: 'create a lead',
      write: [
        `INSERT INTO workspaces (id, name) VALUES ($1::text, 'crosswalk smoke test')`,
        `INSERT INTO quotes (id, company_id, customer_name, email, lead_status, description)
         VALUES (($1::text)::uuid, ($1::text)::uuid, 'Crosswalk Smoke', 'smoke-' || $1::text || '@crosswalk.invalid', 'new', 'made by crosswalk smoke, which takes it away again')`,
      ],
      shows: `SELECT FROM leads l JOIN customers c ON c.id = l.customer_id AND c.deleted_at IS NULL JOIN tenants t ON t.id = l.tenant_id AND t.deleted_at IS NULL
        WHERE l.tenant_id = $1::text AND l.deleted_at IS NULL AND l.status = 'new'`,
    },
    {
      name: 'generate a quote',
      write: update(
        `status = 'draft', quote_number = 'SMOKE-Q', job_name = 'Smoke test', subtotal = ${TOTAL}, total = ${TOTAL},
         items = '[{"name": "work", "quantity": 2, "unit_price": 50}, {"name": "material", "unit_price": "20.50"}]'`,
      ),
      shows: quote(
        `q.status = 'draft' AND q.total = ${TOTAL} AND (SELECT count(*) = 2 AND sum(i.total) = ${TOTAL} FROM quote_items_new i WHERE i.quote_id = q.id)`,
      ),
    },
    {
      name: 'send it',
      write: update(`status = 'sent', sent_at = now()`),
      shows: quote(`q.status = 'sent' AND q.sent_at IS NOT NULL`),
    },
    { name: 'accept it', write: update(`status = 'accepted'`), shows: quote(`q.status = 'accepted'`) },
    {
      name: 'create the job',
      write: update(`job_number = 'SMOKE-J', scheduled_at = now() + interval '1 day'`),
      shows: `SELECT FROM jobs_new WHERE tenant_id = $1::text AND deleted_at IS NULL AND job_number = 'SMOKE-J' AND status = 'scheduled' AND scheduled_start IS NOT NULL`,
    },
    {
      name: 'send the invoice',
      write: update(`invoice_number = 'SMOKE-I', invoice_sent_at = now()`),
      shows: `SELECT FROM invoices_new WHERE tenant_id = $1::text AND deleted_at IS NULL AND invoice_number = 'SMOKE-I' AND status = 'sent' AND amount_due = ${TOTAL} AND amount_paid = 0`,
    },
    {
      name: 'mark it paid',
      write: update(`paid_at = now(), payment_method = 'card'`),
      shows: `SELECT FROM invoices_new i JOIN payments p ON p.invoice_id = i.id AND p.deleted_at IS NULL
        WHERE i.tenant_id = $1::text AND i.deleted_at IS NULL AND i.status = 'paid' AND i.amount_paid = ${TOTAL} AND p.amount = ${TOTAL} AND p.method = 'card'`,
    },
  ],
  remove: [`DELETE FROM quotes ${OF_TEST}`, 'DELETE FROM workspaces WHERE id = $1::text'],
};
