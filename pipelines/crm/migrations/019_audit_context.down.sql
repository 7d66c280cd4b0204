ALTER TABLE crm.lead_audit_log DROP COLUMN reason, DROP COLUMN ip_address, DROP COLUMN actor;
