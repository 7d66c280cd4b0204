DROP TABLE crm.messages;
DROP TABLE crm.lead_activities;
