DROP TABLE crm.payments;
DROP TABLE crm.invoices_new;
DROP TABLE crm.jobs_new;
DROP TABLE crm.quote_items_new;
DROP TABLE crm.quotes_new;
