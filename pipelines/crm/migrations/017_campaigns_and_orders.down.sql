DROP TABLE crm.order_rejects;
DROP TABLE crm.order_items;
DROP TABLE crm.orders;
DROP TABLE crm.campaign_subscribers;
DROP TABLE crm.campaigns;
