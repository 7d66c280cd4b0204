import type pg from 'pg';

/** Sets a stage as the owner of the schema may, whatever a gate would say. `tenant` null: all of them. */
export async function setStage(owner: pg.ClientBase, tenant: string | null, stage: number): Promise<void> {
  await owner.query(
    `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, forced, reason) VALUES ($1, $2, 'test', true, 'the test needs it')`,
    [tenant, stage],
  );
}

/** From which stage on the application sees a table of the new schema; docs/cutover.md. */
export const SHOWN_FROM: Readonly<Record<string, number>> = {
  tenants: 0,
  status_options: 0,
  contacts: 0,
  customers: 1,
  customer_addresses: 1,
  leads: 1,
  lead_custom_fields: 1,
  dnc_list: 1,
  quotes_new: 1,
  quote_items_new: 1,
  jobs_new: 1,
  invoices_new: 1,
  payments: 1,
  lead_audit_log: 2,
  lead_status_history: 2,
  lead_score_history: 2,
  lead_assignments: 2,
};
