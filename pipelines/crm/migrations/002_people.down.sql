DROP TABLE crm.rejects;
DROP TABLE crm.dnc_list;
DROP TABLE crm.lead_custom_fields;
DROP TABLE crm.leads;
DROP TABLE crm.customer_addresses;
DROP TABLE crm.customers;
DROP TABLE crm.contacts;
