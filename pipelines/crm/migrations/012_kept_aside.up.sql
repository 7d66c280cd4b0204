-- Legacy columns that no column here shows are kept beside the row, and custom fields tell since when they are there.
ALTER TABLE crm.tenants ADD COLUMN source_metadata jsonb;
ALTER TABLE crm.status_options ADD COLUMN source_metadata jsonb;
-- The default is for rows of the application alone: rows that are there already get their time from a rebuild, and not the time of this migration.
ALTER TABLE crm.lead_custom_fields ADD COLUMN created_at timestamptz;
ALTER TABLE crm.lead_custom_fields ALTER COLUMN created_at SET DEFAULT now();
