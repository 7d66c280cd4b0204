import { join } from 'node:path';
import { defineProjection } from '../../projectors/projection.ts';
import { quoteColumns } from '../quote-rows.ts';

/** The script of its projector. */
export const flatProjector = [join(import.meta.dirname, 'flat-projector.ts')] as const;

/** The same table on the other side, as the peer's target has it: a primary key and no other index, and the columns of lineage that every projected table has. */
export const flatTable = `
  CREATE TABLE crm.quotes (
    id uuid PRIMARY KEY, company_id uuid, customer_name text, email text, phone text, address text, lead_status text, status text, job_name text,
    description text, items jsonb, subtotal numeric(12,2), discount_amount numeric(12,2), tax_rate numeric(7,4), tax_amount numeric(12,2), total numeric(12,2),
    notes text, quote_number text, job_number text, scheduled_at timestamptz, started_at timestamptz, completed_at timestamptz, sent_at timestamptz, user_id uuid,
    invoice_number text, invoice_sent_at timestamptz, paid_at timestamptz, payment_method text, payment_link_url text, created_at timestamptz, updated_at timestamptz,
    deleted_at timestamptz, origin text NOT NULL DEFAULT 'app' CHECK (origin IN ('cdc', 'app')),
    legacy_table text, legacy_key text, source_lsn pg_lsn, source_xid bigint, source_committed_at timestamptz, mapping_version text);
  GRANT SELECT, INSERT, UPDATE, DELETE ON crm.quotes TO crosswalk_projector;
  GRANT SELECT ON crm.quotes TO crosswalk_reader`;

/** quotes → quotes, column by column: a projection of the benchmark's own, which is not shipped. */
export const flatQuotes = defineProjection({
  name: 'flat_quotes',
  version: '1',
  source: 'quotes',
  requires: ['id'],
  reads: quoteColumns,
  owned: [
    {
      table: 'quotes',
      columns: quoteColumns,
      retract: 'delete',
      scope: { column: 'id', of: (legacyKey) => legacyKey },
    },
  ],
  aggregates: [],
  map: (row) => ({ rows: { quotes: [row] }, contributions: [] }),
});
