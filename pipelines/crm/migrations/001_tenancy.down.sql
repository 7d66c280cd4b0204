DROP TABLE crm.status_options;
DROP TABLE crm.tenants;
DROP TABLE crm.chatbots;
DROP TABLE crm.user_subscriptions;
DROP TABLE crm.users;
