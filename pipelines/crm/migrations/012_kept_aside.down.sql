ALTER TABLE crm.lead_custom_fields DROP COLUMN created_at;
ALTER TABLE crm.status_options DROP COLUMN source_metadata;
ALTER TABLE crm.tenants DROP COLUMN source_metadata;
