-- The ledger of a tenant's budget: rows are only ever added, and each begins with the balance that the one before it left. It refers to nothing: a ledger outlives what it is about.
CREATE TABLE crm.budget_transactions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  number bigint NOT NULL CHECK (number > 0), -- its place in the tenant's chain, from 1; given by the trigger below
  kind text NOT NULL CONSTRAINT budget_transactions_kind_check CHECK (kind IN ('deposit', 'charge', 'refund', 'adjustment')),
  amount_usd numeric(12,2) NOT NULL CONSTRAINT budget_transactions_amount_check CHECK (amount_usd <> 0 AND amount_usd <> 'NaN'), -- below zero: spent
  balance_before_usd numeric(12,2) NOT NULL,
  balance_after_usd numeric(12,2) NOT NULL,
  description text,
  reference text,
  created_by text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT budget_transactions_balance_check CHECK (balance_after_usd = balance_before_usd + amount_usd),
  CONSTRAINT budget_transactions_chain_key UNIQUE (tenant_id, number)
);
COMMENT ON INDEX crm.budget_transactions_chain_key IS 'the last row of one tenant: ORDER BY number DESC LIMIT 1; and no two rows after the same one';
CREATE INDEX budget_transactions_created_idx ON crm.budget_transactions (tenant_id, created_at DESC);
COMMENT ON INDEX crm.budget_transactions_created_idx IS 'a statement of one tenant: WHERE created_at >= $1 ORDER BY created_at DESC';

-- One row of a tenant at a time, until the transaction that adds it ends: whoever comes second continues the row of the first. Balances that are not given are worked out; those that are
-- given must be right. Reads past the policies: the chain is that of the tenant, whatever the caller may see. VOLATILE, so that it sees rows that its own statement has added so far; under
-- REPEATABLE READ it sees those of its snapshot, and the unique key refuses what does not continue the last one.
CREATE FUNCTION crm.continue_balance() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  last_number bigint;
  balance numeric;
BEGIN
  -- NOT NULL refuses it.
  IF NEW.tenant_id IS NULL OR NEW.amount_usd IS NULL THEN RETURN NEW; END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('crosswalk.budget:' || NEW.tenant_id, 0));
  SELECT t.number, t.balance_after_usd INTO last_number, balance FROM crm.budget_transactions t WHERE t.tenant_id = NEW.tenant_id ORDER BY t.number DESC LIMIT 1;
  balance := coalesce(balance, 0);
  IF NEW.balance_before_usd <> balance THEN
    RAISE EXCEPTION 'this row does not continue the last one of its tenant' USING ERRCODE = 'check_violation', SCHEMA = 'crm', TABLE = 'budget_transactions',
      COLUMN = 'balance_before_usd', CONSTRAINT = 'budget_transactions_chain_check', HINT = 'Read the balance again, or leave both balances out: they are worked out.';
  END IF;
  NEW.number := coalesce(last_number, 0) + 1;
  NEW.balance_before_usd := balance;
  NEW.created_at := clock_timestamp();
  NEW.balance_after_usd := coalesce(NEW.balance_after_usd, balance + NEW.amount_usd);
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION crm.continue_balance() FROM PUBLIC;
CREATE TRIGGER continue_balance BEFORE INSERT ON crm.budget_transactions FOR EACH ROW EXECUTE FUNCTION crm.continue_balance();
-- Not even by the owner.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON crm.budget_transactions FOR EACH STATEMENT EXECUTE FUNCTION crosswalk.refuse_change();
ALTER TABLE crm.budget_transactions ENABLE ALWAYS TRIGGER refuse_change;
SELECT crm.open_to_application('crm.budget_transactions', 1, true);

-- What each tenant has left.
CREATE VIEW crm.budget_balances WITH (security_invoker = true) AS
  SELECT DISTINCT ON (tenant_id) tenant_id, balance_after_usd AS balance_usd, number AS transactions, created_at AS last_at
  FROM crm.budget_transactions ORDER BY tenant_id, number DESC;
GRANT SELECT ON crm.budget_balances TO crosswalk_app, crosswalk_reader;
