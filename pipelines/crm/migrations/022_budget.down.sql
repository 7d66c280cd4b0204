DROP VIEW crm.budget_balances;
DROP TABLE crm.budget_transactions;
DROP FUNCTION crm.continue_balance();
