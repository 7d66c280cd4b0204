DROP TABLE crm.lead_activities;
