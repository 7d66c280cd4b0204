DROP VIEW crm.lead_source_roi;
DROP VIEW crm.current_consents;
DROP TABLE crm.consents;
DROP TABLE crm.system_config;
DROP TABLE crm.segments;
DROP TABLE crm.lead_sequence_enrollments;
DROP TABLE crm.nurture_sequences;
DROP TABLE crm.lead_source_costs;
