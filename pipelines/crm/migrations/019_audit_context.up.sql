-- Who changed a lead, from where and why, as the application told with its transaction; null where it did not.
ALTER TABLE crm.lead_audit_log ADD COLUMN actor text, ADD COLUMN ip_address inet, ADD COLUMN reason text;
