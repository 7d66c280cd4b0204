ALTER TABLE crm.dnc_list DROP COLUMN reason, DROP COLUMN source;
