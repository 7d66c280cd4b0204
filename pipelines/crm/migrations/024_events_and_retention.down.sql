DROP FUNCTION crm.keep_retention(interval, interval, timestamptz);
DROP FUNCTION crm.make_events_partition(date);
DROP TABLE crm.lead_audit_archive;
DROP TABLE crm.analytics_events;
