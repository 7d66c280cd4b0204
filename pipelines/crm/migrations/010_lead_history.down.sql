DROP VIEW crm.lead_time_in_stage;
DROP TABLE crm.lead_assignments;
DROP TABLE crm.lead_score_history;
DROP TABLE crm.lead_status_history;
DROP TABLE crm.lead_audit_log;
