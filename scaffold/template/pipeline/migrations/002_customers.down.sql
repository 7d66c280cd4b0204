DROP TABLE app.customers;
